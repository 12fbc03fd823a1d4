"""status --watch: a run that moves, one that died, one that ended, and a terminal too narrow."""

import asyncio
import io
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gristmill import Recipe, run
from gristmill.commands.bar import watching
from gristmill.commands.screen import Screen
from gristmill.commands.watch import watch
from gristmill.engines.client import Clock
from gristmill.engines.progress import PROGRESS, Meter, Progress
from gristmill.engines.requests import Completion, Generate
from gristmill.engines.scripted import Scripted
from gristmill.flows.order import Order
from gristmill.flows.server import Server
from gristmill.storage.shards import lock

BARE = ("--local", "--no-prefect")
ROLE = {"made": 30, "replayed": 2, "tokens": 900, "waiting": 7, "busy_s": 1.5}
HITS = {"vllm:prefix_cache_queries": 200.0, "vllm:prefix_cache_hits": 150.0}


def look(wall_s: float = 2.0, unit: str = "responses", **changes: float) -> Progress:
    engines = {"judge": {**ROLE, **changes}}
    return Progress(unit, 1, 15, 40, 70, 900, 30, 2, wall_s, wall_s, engines, "http://h:8265")


@pytest.fixture
def stopped(call, place: Path) -> Path:
    """A run that has left its shards and no ledger."""
    run_dir = Path(json.loads(call("run", "tiny.yaml", "--json", *BARE)[1])["run_dir"])
    (run_dir / "ledger.json").unlink()
    return run_dir


@pytest.fixture
def watched(place: Path, stopped: Path) -> Callable[..., None]:
    """Watch while a process that writes these looks, one between two of ours, works there."""

    def go(out: Any, *looks: Progress) -> None:
        held, left = lock(place / ".gristmill" / "lock"), list(looks)

        def pause(_: float) -> None:
            if left:
                Meter({}, int, None, stopped / "costs").write_progress(left.pop(0))
            else:
                held.close()

        try:
            watch(stopped, place, Screen(out, io.StringIO()), pause)
        finally:
            held.close()

    return go


def test_stages_rates_yields_and_engines_are_told_at_every_look(watched, stopped) -> None:
    out = io.StringIO()
    watched(out, look(2.0), look(4.0, tokens=1500, busy_s=2.5, **HITS))
    first, second, third = (
        block.splitlines() for block in out.getvalue().split(f"{stopped}: ")[1:]
    )
    assert [line.split() for line in first[1:]] == [
        [], ["stage", "in", "kept", "yield", "rejected", "failed"],
        ["length", "20", "10", "0.50", "10", "0"],
        ["responses", "10", "20", "2.00", "0", "0"],
        ["target", "20", "20", "1.00", "0", "0"],
        ["longest", "20", "6", "0.30", "14", "0"], [],
    ]  # fmt: skip
    assert first[0] == "not finished; a run holds the workspace"
    assert second[1].startswith("now responses, wave 1: 15 of 40 rows")
    assert second[2] == "Ray's dashboard: http://h:8265"
    assert second[-2].split() == ["judge", "30", "2", "7", "450", "0.75", "-"]
    assert third[-2].split() == ["judge", "30", "2", "7", "300", "0.50", "0.75"], "since the second"


def test_who_stops_watching_stops_nothing_else(stopped, place, capfd) -> None:
    out = io.StringIO()

    def pause(_: float) -> None:
        raise KeyboardInterrupt

    with lock(place / ".gristmill" / "lock"):
        watch(stopped, place, Screen(out, io.StringIO()), pause)
    assert "a run holds the workspace" in out.getvalue()


def test_text_that_commands_a_terminal_is_shown_without_its_commands(watched) -> None:
    out = io.StringIO()
    watched(out, look(unit="\x1b[31mred\x1b[2J\u202e\nnext"))
    assert "now red next, wave 1" in out.getvalue()
    assert not {"\x1b", "\u202e"} & set(out.getvalue())


def test_a_narrow_terminal_gets_lines_that_are_cut_and_none_that_wraps(watched, shown) -> None:
    text = shown(30, lambda terminal: watched(terminal, look())).replace("\r", "")
    lines = [line.rpartition("\x1b[2K")[2] for line in text.split("\n")]
    assert "now responses, wave 1: 15 of " in "\n".join(lines)
    assert max(len(line) for line in lines if "\x1b" not in line) == 30
    assert any(line.endswith("…") for line in lines)


def test_a_dead_run_and_one_that_ended_are_shown_once(call, place, stopped) -> None:
    Meter({}, int, None, stopped / "costs").write_progress(look())
    dead = call("status", "last", "--watch")
    assert dead == call("status", "last")
    assert "not finished; nothing runs here" in dead[1]
    assert "last seen at responses" in dead[1]
    assert call("run", "tiny.yaml", *BARE)[0] == 0
    ended = call("status", "last", "--watch", "--json")
    assert ended == call("status", "last", "--json")
    assert json.loads(ended[1])["state"] == "finished: seeds"


def test_a_dead_run_is_not_taken_for_the_one_that_works_beside_it(call, stopped) -> None:
    said: list[str] = []

    async def look_at_both(_name: str, _work: object) -> None:
        said.append(call("status", stopped.name, "--watch")[1])
        said.append(call("status", "last")[1])
        raise TimeoutError

    other = Order(recipe="tiny.yaml", sets=("name=other",), local=True)
    with pytest.raises(TimeoutError):
        other.execute(other.prepare(), step=look_at_both)
    assert "not finished; another run holds the workspace" in said[0], "and the watch is over"
    assert "not finished; a run holds the workspace" in said[1]


class Gated(Scripted):
    """Answers once a file is there."""

    gate: Path

    async def generate(self, request: Generate) -> Completion:
        while not self.gate.exists():  # noqa: ASYNC110 - another thread makes it
            await asyncio.sleep(0.02)
        return await super().generate(request)


def test_a_real_run_is_seen_at_work_and_to_its_end(place) -> None:
    recipe = Recipe.load("tiny.yaml", ["export={card: false, report: false}"])
    engines = {"generator": Gated(gate=place / "gate")}
    working = threading.Thread(target=run, args=(recipe, None, engines))
    working.start()
    while not (found := list((place / "runs").glob(f"*/{PROGRESS}"))) and working.is_alive():
        time.sleep(0.02)
    out = io.StringIO()

    def pause(_: float) -> None:
        time.sleep(0.05)
        if "generator     0         0       20" in out.getvalue():
            engines["generator"].gate.touch()

    watch(found[0].parent, place, Screen(out, io.StringIO()), pause)
    working.join()
    assert "stage" not in out.getvalue().partition("generator")[0], "no shard is finished yet"
    assert not found[0].exists()
    looks = [line.split() for line in out.getvalue().splitlines() if line.startswith("generator")]
    busy = [look[5] for look in looks if look[3] == "20"]
    assert 0 < float(busy[0]) <= 1


def test_a_clock_counts_time_once_however_many_are_inside() -> None:
    clock, other = Clock(), Clock()
    started = time.monotonic()
    with clock, clock:
        with other:
            time.sleep(0.02)
        time.sleep(0.02)
    passed = time.monotonic() - started
    assert 0.02 <= other.seconds < clock.seconds <= passed
    before = clock.seconds
    time.sleep(0.01)
    assert clock.seconds == before


def test_the_dashboard_is_told_once(capsys) -> None:
    err = io.StringIO()
    with watching(Screen(io.StringIO(), err)) as tell:
        assert tell is not None
        tell(Progress("u", 1, 0, 1, 0, 0, 0, 0, 0.5))
        tell(look(1.0))
        tell(look(1.5))
    assert err.getvalue() == "Ray's dashboard: http://h:8265\n"


@pytest.mark.slow
def test_only_a_configured_server_has_a_page() -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    # What the environment says is read once, by whoever imports Prefect first.
    with temporary_settings({PREFECT_API_URL: "http://host:4200/api"}):
        assert Server().link == "http://host:4200"
    assert Server(process=object()).link == ""  # type: ignore[arg-type]
