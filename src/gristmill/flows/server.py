"""The Prefect server of a run: the configured one, or one of its own for as long as it lasts.

Prefect can start a temporary server itself, but in our process group, where Ctrl-C ends it
before the flow could say goodbye, and where a killed run leaves it behind. Ours dies with us,
and starts while the recipe is being checked.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gristmill import telemetry
from gristmill.errors import RequirementError

WAIT_S = 300.0
"""Starting took 8 s alone and 90 s beside eight other jobs on 2 cores."""
ANSWER_S = 30.0
"""For a server that runs already."""
LAUNCH = (
    "import ctypes, os, sys\n"
    "if sys.platform == 'linux': ctypes.CDLL(None).prctl(1, 15)\n"  # SIGTERM when we die
    "if os.getppid() == 1: sys.exit(1)\n"
    "import uvicorn; uvicorn.main()"
)
QUIET = {
    **telemetry.OFF,
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
}
EPHEMERAL = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
    "PREFECT_LOGGING_TO_API_ENABLED": "false",
    "PREFECT_CLIENT_MAX_RETRIES": "1",
}
"""What Prefect sets for a temporary server, no second copy of our logs in it, and little patience:
one that has gone does not come back."""


@dataclass
class Server:
    """A server that was started, or the configured one when `process` is None."""

    process: subprocess.Popen[bytes] | None = None
    url: str = ""
    log: Path = Path()

    @property
    def link(self) -> str:
        """The page of a configured server; one of our own has none."""
        if self.process is not None:
            return ""
        from prefect.settings import get_current_settings

        return str(get_current_settings().ui_url or "")

    def wait(self) -> None:
        """Return when it answers.

        Raises:
            RequirementError: It does not, and what to do about it.
        """
        if self.process is None:
            _ask()
            return
        import httpx

        until = time.monotonic() + WAIT_S
        while self.process.poll() is None and time.monotonic() < until:
            try:
                if httpx.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise RequirementError(
            f"Prefect's temporary server did not start: {lines[-1] if lines else 'no answer'} "
            f"(all of it in {self.log}); add --no-prefect to run without Prefect, or set "
            "PREFECT_API_URL to a server that runs"
        )


@contextmanager
def serving(workspace: Path) -> Iterator[Server]:
    """Start a server unless one is configured; the environment then names it to Prefect."""
    home = workspace.absolute() / ".gristmill" / "prefect"
    changes = dict(QUIET)
    if is_configured():
        with _environment(changes):
            yield Server()
        return
    home.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{_free_port()}/api"
    if "PREFECT_HOME" not in os.environ:
        changes["PREFECT_HOME"] = str(home)
    with (home / "server.log").open("wb") as log, _environment({**changes, **EPHEMERAL}):
        process = _start(url, log)
        try:
            with _environment({"PREFECT_API_URL": url}):
                yield Server(process, url, home / "server.log")
        finally:
            _stop(process)


def is_configured() -> bool:
    """Say whether the user has named a server: in the environment, a profile or prefect.toml."""
    if os.environ.get("PREFECT_API_URL"):
        return True
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    profiles = _toml(Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml"))
    active = os.environ.get("PREFECT_PROFILE") or str(profiles.get("active"))
    settings = profiles.get("profiles", {}).get(active, {})
    return bool(settings.get("PREFECT_API_URL") or _toml(Path("prefect.toml")).get("api"))


def _ask() -> None:
    """Ask the configured server how it is, once, the way Prefect will."""
    import httpx
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    settings = {"timeout": ANSWER_S}
    with (
        temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 0}),
        get_client(httpx_settings=settings, sync_client=True) as client,
    ):
        error = client.api_healthcheck()
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code < 500:
        return  # somebody is there; what they refuse is for Prefect to say
    if isinstance(error, httpx.HTTPError):
        url, why = str(client.api_url).rstrip("/"), str(error).splitlines()
        raise RequirementError(
            f"the Prefect server {url} does not answer ({why[0] if why else repr(error)}): start "
            "it (`prefect server start`) or set PREFECT_API_URL to one that runs; `build-dataset "
            "run` also works without one: unset PREFECT_API_URL, or add --no-prefect"
        ) from error


def _toml(path: Path) -> dict[str, dict[str, dict[str, str]]]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # Prefect itself complains about a file that it cannot read


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def _start(url: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
    port = url.rpartition(":")[2].partition("/")[0]
    command = [sys.executable, "-c", LAUNCH, "--factory", "prefect.server.api.server:create_app"]
    command += ["--host", "127.0.0.1", "--port", port, "--log-level", "error", "--lifespan", "on"]
    return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """Set variables, and put them back: whoever calls us may use Prefect too."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
