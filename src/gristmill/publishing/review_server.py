"""The review page over HTTP, for this machine alone.

Whoever may mark rows knows the token in the address. It stands in the path of every request, so no
other page can send one; the Host header is checked, so no foreign name can point here.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from gristmill.errors import GristmillError, StorageError
from gristmill.formats.marks import Says
from gristmill.publishing.report import environment
from gristmill.publishing.review import Query, Review
from gristmill.text.mistakes import explain

log = logging.getLogger(__name__)

MAX_BODY = 1 << 16
"""Bytes of a request's body: an id, a word, a note."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
HTML, CSS, SCRIPT, JSON = (
    f"{kind}; charset=utf-8"
    for kind in ("text/html", "text/css", "text/javascript", "application/json")
)
HERE = Path(__file__).parent


class Said(BaseModel):
    """What a request to mark says."""

    model_config = ConfigDict(extra="forbid")

    id: str
    says: Says | None
    note: str = ""


class Server(ThreadingHTTPServer):
    """Serves one review on 127.0.0.1 until it is shut down; port 0 is any free one."""

    daemon_threads = True

    def __init__(self, review: Review, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.review, self.token = review, secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        """The address to open."""
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what broke: a browser that hangs up is none of the terminal's business."""
        log.info("client=%s", client_address, exc_info=True)


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "gristmill", ""
    timeout = 30

    def do_GET(self) -> None:
        """Give the page, its parts, or rows."""
        review = self.server.review
        self._answer(
            {
                "": (HTML, lambda _: _page(review)),
                "page.css": (CSS, lambda _: (HERE / "page.css").read_text(encoding="utf-8")),
                "review.css": (CSS, lambda _: (HERE / "review.css").read_text(encoding="utf-8")),
                "review.js": (SCRIPT, lambda _: (HERE / "review.js").read_text(encoding="utf-8")),
                "rows": (JSON, lambda asked: review.page(Query.model_validate(asked))),
                "row": (JSON, lambda asked: review.row(asked.get("id", ""))),
            }
        )

    def do_POST(self) -> None:
        """Mark a row."""
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or int(size) > MAX_BODY:
            self.close_connection = True
            return self._send(413, JSON, {"error": f"expected a body of at most {MAX_BODY} bytes"})
        body = self.rfile.read(int(size))
        return self._answer({"mark": (JSON, lambda _: self._mark(body))})

    def _mark(self, body: bytes) -> dict[str, Any]:
        said = Said.model_validate_json(body)
        self.server.review.mark({said.id: (said.says, said.note)})
        return {"row": self.server.review.row(said.id), "marks": self.server.review.tally()}

    def _answer(self, routes: Mapping[str, tuple[str, Callable[[dict[str, str]], Any]]]) -> None:
        address = urlsplit(self.path)
        _, token, *rest = [*address.path.split("/"), ""]
        hosts = {f"{name}:{self.server.server_port}" for name in ("127.0.0.1", "localhost")}
        if self.headers.get("Host") not in hosts:
            return self._send(403, JSON, {"error": "this page is for its own machine"})
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            return self._send(403, JSON, {"error": "open the whole address that the command says"})
        kind, make = routes.get("/".join(rest[:-1]), (JSON, None))
        if make is None or len(rest) != 2:
            return self._send(404, JSON, {"error": "nothing is here"})
        try:
            made = make(dict(parse_qsl(address.query)))
        except ValidationError as error:
            return self._send(400, JSON, {"error": explain(error, Query.model_fields)})
        except StorageError as error:
            return self._send(500, JSON, {"error": str(error)})
        except GristmillError as error:
            return self._send(400, JSON, {"error": str(error)})
        return self._send(200, kind, made)

    def _send(self, status: int, kind: str, said: Any) -> None:
        text = said if isinstance(said, str) else json.dumps(said)
        body = text.encode()
        self.send_response(status)
        for name, value in (*HEADERS.items(), ("Content-Type", kind)):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: addresses hold the token."""


def _page(review: Review) -> str:
    about = review.about()
    return environment().get_template("review.html.j2").render(**about)
