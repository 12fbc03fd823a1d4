"""Runs as Prefect flows: on a server of their own, on a configured one, and by the clock."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from audit import audit

from tests.publishing.conftest import unlinked
from tests.publishing.hub_server import TOKEN, serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SOURCE = str(Path(__file__).parents[2] / "src")
WAIT_S = 400
RECIPE = r"""# Two answers for each seed, the six longest kept.
name: tiny
seeds: {path: seeds.jsonl}
engines:
  generator: {use: scripted, rules: [["(?s).*", 'So \g<0> {draw}']]}
stages:
  - use: generators.responses
    n: 2
  - use: selectors.longest
    k: 6
"""


@pytest.fixture
def place(tmp_path) -> Path:
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    lines = [json.dumps({"instruction": f"Explain zebra {i}."}) for i in range(20)]
    (tmp_path / "seeds.jsonl").write_text("\n".join(lines))
    return tmp_path


def environment(place: Path, **more: str) -> dict[str, str]:
    (place / "home").mkdir(exist_ok=True)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    return {**kept, "PYTHONPATH": SOURCE, "HOME": str(place / "home"), **more}


def call(place: Path, *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gristmill", *argv, "--local"]
    return subprocess.run(
        command,
        cwd=place,
        env=environment(place, **more),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    """Start a real server, as `prefect server start` does."""
    home = tmp_path_factory.mktemp("prefect")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1"]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--no-ui"],
            env=environment(home, PREFECT_HOME=str(home), PREFECT_SERVER_ANALYTICS_ENABLED="false"),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            until = time.monotonic() + WAIT_S
            while not answers(url):
                assert process.poll() is None, (home / "log").read_text()
                assert time.monotonic() < until, "the server did not start"
                time.sleep(0.5)
            yield url
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def test_a_run_without_a_server_brings_its_own_and_leaves_no_row_in_it(place) -> None:
    done = call(place, "run", "tiny.yaml", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert json.loads(done.stdout)["kept"] == 6
    assert not (place / "home" / ".prefect").exists()
    database = place / ".gristmill" / "prefect" / "prefect.db"
    with sqlite3.connect(database) as reader:
        names = {name for (name,) in reader.execute("SELECT name FROM task_run")}
        kinds = {kind for (kind,) in reader.execute("SELECT type FROM artifact")}
        dump = "\n".join(reader.iterdump())
    assert "export" in names
    assert any(name.endswith("responses") for name in names)
    assert any(name.startswith("check") for name in names)
    assert kinds == {"table", "markdown", "progress"}
    assert "zebra" not in dump, "a row went through Prefect"


def test_a_mistake_inside_the_flow_is_one_message_without_a_traceback(place, server) -> None:
    rules = "engines.generator.rules=[['.*', '\\g<9>']]"
    done = call(place, "run", "tiny.yaml", "--json", "--set", rules, PREFECT_API_URL=server)
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout)["stop_reason"] == "error_rate"
    assert "Traceback" not in done.stderr
    assert "\nerror: stage 'responses': 20 of 20 rows failed" in done.stderr


def stored(place: Path) -> int:
    path = place / ".gristmill" / "answers.sqlite"
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as reader:
            return int(reader.execute("SELECT count(*) FROM answers").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def test_ctrl_c_ends_the_flow_and_its_server_and_the_same_command_goes_on(place) -> None:
    slow = ("--set", "engines.generator.max_delay_s=30")
    with subprocess.Popen(
        [sys.executable, "-m", "gristmill", "run", "tiny.yaml", "--json", "--local", *slow],
        cwd=place,
        env=environment(place),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        until = time.monotonic() + WAIT_S
        while not stored(place) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        [own] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130, err
    assert json.loads(out)["kind"] == "Interrupted"
    assert "Traceback" not in err
    assert err.splitlines()[-1].startswith("stopped; nothing finished is lost")
    assert not Path(f"/proc/{own}").exists(), "its server was left behind"
    kept = stored(place)
    assert 0 < kept < 40
    done = call(place, "run", "tiny.yaml", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["calls"] == {"made": 40 - kept, "replayed": kept}


class Cable:
    """Carries everything to a server until it is cut."""

    def __init__(self, port: int) -> None:
        self.port, self.ends = port, list[socket.socket]()
        self.door = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.door.getsockname()[1]}/api"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                one, _ = self.door.accept()
                two = socket.create_connection(("127.0.0.1", self.port))
                self.ends += [one, two]
                for ends in ((one, two), (two, one)):
                    threading.Thread(target=self.carry, args=ends, daemon=True).start()

    def carry(self, one: socket.socket, two: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                two.sendall(data)

    def cut(self) -> None:
        for end in (self.door, *self.ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def test_a_run_whose_server_goes_meanwhile_ends_without_it(place, server) -> None:
    cable = Cable(int(server.rpartition(":")[2].partition("/")[0]))
    slow = ("--set", "engines.generator.max_delay_s=2")
    with (place / "err").open("w") as err, subprocess.Popen(
        [sys.executable, "-m", "gristmill", "run", "tiny.yaml", "--json", "--local", *slow],
        cwd=place,
        env=environment(place, PREFECT_API_URL=cable.url, PREFECT_CLIENT_MAX_RETRIES="0"),
        stdout=subprocess.PIPE, stderr=err, text=True,
    ) as process:  # fmt: skip
        until = time.monotonic() + WAIT_S
        while not stored(place) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        cable.cut()
        assert process.stdout
        told = json.loads(process.stdout.readline())
        process.kill()  # Prefect would still try to send what it has not told
    assert told["kept"] == 6
    assert told["calls"]["made"] == 40
    assert "server does not answer any more" in (place / "err").read_text()


def test_a_machine_failure_is_tried_again_and_a_bug_is_not(place, server) -> None:
    script = """
import asyncio
from prefect import flow
from gristmill.errors import EngineError, StageError
from gristmill.flows.build import CALL, Call
from gristmill.flows.order import Order

tries = []

def failing(error, n):
    async def work():
        tries.append(error)
        if tries.count(error) <= n:
            raise error("no")
        return "rows"
    return work

@flow
def both():
    call = Call(Order(recipe="tiny.yaml"))
    CALL.set(call)
    assert asyncio.run(call.step("machine", failing(EngineError, 2))) == "rows"
    try:
        asyncio.run(call.step("bug", failing(StageError, 1)))
    except StageError:
        print("tries:", tries.count(EngineError), tries.count(StageError))

both()
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=place,
        env=environment(place, PREFECT_API_URL=server),
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )
    assert "tries: 3 1" in done.stdout, done.stderr


GROWING = """  - use: filters.near_duplicates
    ngram: 2
"""
PETS = ("heron", "otter", "tapir", "newt", "gecko", "lynx")


def seed(place: Path, n: int) -> None:
    lines = [json.dumps({"instruction": f"Say where the {pet} sleeps."}) for pet in PETS[:n]]
    (place / "new").write_text("\n".join(lines))
    (place / "new").rename(place / "seeds.jsonl")


@contextmanager
def scheduled(place: Path, name: str, *argv: str, **more: str) -> Iterator[None]:
    """Serve a schedule that runs every minute, until the end; it must not have ended before."""
    command = [sys.executable, "-m", "gristmill", "schedule", "tiny.yaml", "--local", "--grow"]
    with (place / name).open("wb") as log:
        process = subprocess.Popen(
            [*command, "--cron", "* * * * *", "--name", name, *argv],
            cwd=place,
            env=environment(place, PREFECT_RUNNER_POLL_FREQUENCY="1", **more),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield
            assert process.poll() is None, (place / name).read_text()
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(60)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)


def test_two_schedules_grow_one_published_dataset_and_double_nothing(place, server) -> None:
    recipe = RECIPE.replace("  - use: selectors.longest\n    k: 6\n", GROWING).replace(
        "n: 2", "n: 1"
    )
    (place / "tiny.yaml").write_text(recipe)
    ledger = place / "datasets" / "tiny" / "ledger.json"
    with serving() as hub:
        more = {
            "PREFECT_API_URL": server, "HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN,
            "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1",
        }  # fmt: skip
        seed(place, 2)
        to = ("--publish", "someone/rows")
        with scheduled(place, "day", *to, **more), scheduled(place, "night", *to, **more):
            for n in (1, 2, 3):
                seed(place, 2 * n)
                if n > 1:  # sooner than the clock does
                    start_both(server)
                until = time.monotonic() + WAIT_S
                while f"v{n}" not in (hub.repos.get("someone/rows") or {}).get("tags", {}):
                    assert time.monotonic() < until, (place / "day").read_text()
                    time.sleep(0.5)
        found = flow_runs(server)
        card = unlinked(hub.files("someone/rows")["README.md"].decode())
        puts = list(hub.puts)
    note = json.loads(ledger.read_text())
    assert [(one["rows"], one["seeds"]) for one in note["versions"]] == [(2, 2), (4, 2), (6, 2)]
    assert note["calls"] == {"made": 6, "replayed": 0}
    assert not audit(ledger.parent)
    assert card.index("**v3**: 2 rows added, 0 changed, 0 removed; 6 in all") < card.index("**v1**")
    assert len(puts) == len(set(puts)) == 3
    assert any(run["auto_scheduled"] for run in found)
    for run in found:
        if run["state_type"] == "FAILED":
            assert re.search("held by another process|grew to v", run["state"]["message"]), run


def start_both(url: str) -> None:
    for name in ("day", "night"):
        found = httpx.get(f"{url}/deployments/name/build-dataset/{name}", timeout=30).json()
        asked = {"state": {"type": "SCHEDULED"}}
        httpx.post(f"{url}/deployments/{found['id']}/create_flow_run", json=asked, timeout=30)


def flow_runs(url: str) -> list[dict[str, Any]]:
    wanted = {"deployments": {"name": {"any_": ["day", "night"]}}}
    return list(httpx.post(f"{url}/flow_runs/filter", json=wanted, timeout=30).json())
