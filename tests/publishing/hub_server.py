"""A Hub on loopback: the endpoints that publishing uses, over real HTTP, with a log."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Handler = Callable[..., tuple[int, Any]]
TOKEN = "hf_secret_for_tests"


class Hub(ThreadingHTTPServer):
    """Repositories in memory. `hold_after` large files, it stops answering further ones."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Requests)
        self.repos: dict[str, dict[str, Any]] = {}
        self.blobs: dict[str, bytes] = {}
        self.puts: list[str] = []
        """Every large file that arrived whole, by its hash."""
        self.log: list[str] = []
        self.hold_after: int | None = None
        self.held, self.release = threading.Event(), threading.Event()
        self.writable = True
        self.is_busy = False
        """Somebody else commits while large files are announced."""
        self.faults: list[tuple[str, int]] = []
        """The next request whose line has this text gets this status; 0 cuts the connection."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def files(self, repo: str, branch: str = "main") -> dict[str, bytes]:
        tree = self.repos[repo]["branches"][branch]
        return {path: self.blobs[oid] for path, oid in tree.items()}


class Requests(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.answer()

    do_POST = do_PUT = do_HEAD = do_GET

    def read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path)
        body = self.read()
        self.server.log.append(f"{self.command} {path}")
        status, found = 404, {"error": f"no endpoint {path}"}
        if fault := next((f for f in self.server.faults if f[0] in self.requestline), None):
            self.server.faults.remove(fault)
            if not fault[1]:
                self.close_connection = True
                return
            self.reply(fault[1], json.dumps({"error": "as the test wants"}).encode())
            return
        open_to_all = path.startswith(("/blob/", "/api/validate-yaml"))
        if not open_to_all and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            status, found = 401, {"error": "Invalid credentials in Authorization header"}
        else:
            for method, pattern, handle in ROUTES:
                if method in (self.command, ANY) and (match := re.fullmatch(pattern, path)):
                    status, found = handle(self.server, body, *match.groups())
                    break
        self.reply(status, found if isinstance(found, bytes) else json.dumps(found).encode())

    def reply(self, status: int, text: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("ETag", hashlib.sha1(text).hexdigest())
        self.send_header("X-Repo-Commit", "0" * 40)
        if status == 404:
            self.send_header("X-Error-Code", "EntryNotFound")
        if status in (429, 500, 503):
            self.send_header("Retry-After", "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)


def create(hub: Hub, body: bytes) -> tuple[int, Any]:
    asked = json.loads(body)
    repo = f"{asked['organization']}/{asked['name']}"
    url = {"url": f"{hub.url}/datasets/{repo}"}
    if not hub.writable:
        return 403, {"error": "You don't have the rights to create a repository here"}
    if repo in hub.repos:
        return 409, {"error": "You already created this dataset repo", **url}
    private = asked.get("visibility") == "private" or asked.get("private") is True
    hub.repos[repo] = {"private": private, "branches": {"main": {}}, "commits": []}
    return 200, url


def info(hub: Hub, _: bytes, repo: str) -> tuple[int, Any]:
    if repo not in hub.repos:
        return 404, {"error": "Repository not found"}
    sha = (hub.repos[repo]["commits"] or ["0" * 40])[-1]
    return 200, {"_id": "1", "id": repo, "sha": sha, "private": hub.repos[repo]["private"]}


def settings(hub: Hub, body: bytes, repo: str) -> tuple[int, Any]:
    asked = json.loads(body)
    hub.repos[repo]["private"] = (
        asked.get("visibility") == "private" or asked.get("private") is True
    )
    return 200, {}


def at(hub: Hub, repo: str, revision: str) -> dict[str, str]:
    """Return the files of a tag, a branch, or a commit, which is the head of `main`."""
    found = hub.repos[repo]
    tagged = found.get("trees", {}).get(found.get("tags", {}).get(revision), {})
    is_head = re.fullmatch("[0-9a-f]{40}", revision)
    files: dict[str, str] = tagged or found["branches"].get("main" if is_head else revision, {})
    return files


def tree(hub: Hub, _: bytes, repo: str, revision: str, folder: str | None) -> tuple[int, Any]:
    files = at(hub, repo, revision)
    there = {path: oid for path, oid in files.items() if path.startswith(folder or "")}
    if folder and not there:
        return 404, {"error": f"{folder} does not exist"}
    return 200, [
        {"type": "file", "path": path, "oid": oid, "size": len(hub.blobs[oid])}
        for path, oid in there.items()
    ]


def branch(hub: Hub, _: bytes, repo: str, name: str) -> tuple[int, Any]:
    branches = hub.repos[repo]["branches"]
    if name in branches:
        return 409, {"error": "Reference already exists"}
    branches[name] = dict(branches["main"])
    return 200, {}


def validate(hub: Hub, body: bytes) -> tuple[int, Any]:
    head = json.loads(body)["content"].split("---\n")[1]
    missing = [] if "license:" in head else [{"message": "no license"}]
    return 200, {"warnings": missing, "errors": []}


def preupload(hub: Hub, body: bytes, repo: str, branch: str) -> tuple[int, Any]:
    files = []
    if hub.is_busy:
        hub.repos[repo]["commits"].append("f" * 40)
    for file in json.loads(body)["files"]:
        large = file["path"].endswith(".parquet")
        mode = "lfs" if large else "regular"
        files.append({"path": file["path"], "uploadMode": mode, "shouldIgnore": False})
    return 200, {"files": files}


def batch(hub: Hub, body: bytes, _: str) -> tuple[int, Any]:
    objects = []
    for wanted in json.loads(body)["objects"]:
        told = {"oid": wanted["oid"], "size": wanted["size"]}
        if wanted["oid"] not in hub.blobs:
            told["actions"] = {"upload": {"href": f"{hub.url}/blob/{wanted['oid']}"}}
        objects.append(told)
    return 200, {"transfer": "basic", "objects": objects}


def put(hub: Hub, body: bytes, oid: str) -> tuple[int, Any]:
    if hub.hold_after is not None and len(hub.puts) >= hub.hold_after:
        hub.held.set()
        hub.release.wait(60)
        return 500, {"error": "held back"}
    if hashlib.sha256(body).hexdigest() != oid:
        return 400, {"error": "wrong hash"}
    hub.blobs[oid] = body
    hub.puts.append(oid)
    return 200, {}


def commit(hub: Hub, body: bytes, repo: str, branch: str) -> tuple[int, Any]:
    files = hub.repos[repo]["branches"][branch]
    for text in body.splitlines():
        line = json.loads(text)
        value = line["value"]
        parent = value.get("parentCommit") if line["key"] == "header" else None
        if parent and parent != (hub.repos[repo]["commits"] or ["0" * 40])[-1]:
            return 412, {"error": "A commit has happened since. Please refresh and try again."}
        if line["key"] == "file":
            content = base64.b64decode(value["content"])
            oid = hashlib.sha256(content).hexdigest()
            hub.blobs[oid] = content
            files[value["path"]] = oid
        elif line["key"] == "lfsFile":
            if value["oid"] not in hub.blobs:
                return 400, {"error": f"{value['path']} was never uploaded"}
            files[value["path"]] = value["oid"]
        elif line["key"] == "deletedFile":
            del files[value["path"]]
    oid = hashlib.sha1(json.dumps(files).encode()).hexdigest()
    hub.repos[repo]["commits"].append(oid)
    hub.repos[repo].setdefault("trees", {})[oid] = dict(files)
    return 200, {"commitUrl": f"{hub.url}/datasets/{repo}/commit/{oid}", "commitOid": oid}


def resolve(hub: Hub, _: bytes, repo: str, revision: str, path: str) -> tuple[int, Any]:
    oid = at(hub, repo, revision).get(path)
    return (200, hub.blobs[oid]) if oid else (404, {"error": "Entry not found"})


def tag(hub: Hub, body: bytes, repo: str, revision: str) -> tuple[int, Any]:
    tags = hub.repos[repo].setdefault("tags", {})
    name = json.loads(body)["tag"]
    if name in tags:
        return 409, {"error": "Tag reference exists already"}
    tags[name] = unquote(revision)
    return 200, {}


ANY = "HEAD or GET"
REPO = r"([\w.-]+/[\w.-]+)"
ROUTES: list[tuple[str, str, Handler]] = [
    ("POST", "/api/repos/create", create),
    ("PUT", f"/api/datasets/{REPO}/settings", settings),
    ("POST", "/api/validate-yaml", validate),
    ("GET", f"/api/datasets/{REPO}(?:/revision/[^/]+)?", info),
    ("GET", f"/api/datasets/{REPO}/tree/([^/]+)(?:/(.+))?", tree),
    ("POST", f"/api/datasets/{REPO}/branch/([^/]+)", branch),
    ("POST", f"/api/datasets/{REPO}/preupload/([^/]+)", preupload),
    ("POST", f"/api/datasets/{REPO}/commit/([^/]+)", commit),
    ("POST", f"/datasets/{REPO}\\.git/info/lfs/objects/batch", batch),
    ("PUT", "/blob/([0-9a-f]+)", put),
    ("POST", f"/api/datasets/{REPO}/tag/([^/]+)", tag),
    (ANY, f"/datasets/{REPO}/resolve/([^/]+)/(.+)", resolve),
]


@contextmanager
def serving() -> Iterator[Hub]:
    """Serve a hub of its own in a thread."""
    found = Hub()
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.release.set()
        found.shutdown()
        found.server_close()
        thread.join()
