"""The progress line on terminals of many widths, and where there is none."""

import asyncio
import io
import re
from dataclasses import replace
from typing import Any, TextIO

import pytest
from pydantic import PrivateAttr

from gristmill import Recipe, run
from gristmill.commands.bar import fitted, watching, worded
from gristmill.commands.screen import Screen
from gristmill.engines.progress import Progress
from gristmill.engines.scripted import Scripted

UNIT = "ifd + flagged + score_range + near_duplicates"
NOW = Progress(UNIT, 1, 60, 198, 198, 100_000, 60, 0, 50.0)
RATES = (1.2, 2000.0, 115.0)
WHOLE = "60/198, 1 row/s, 2,000 tokens/s, 198 kept before, 1:55 left"


@pytest.mark.parametrize(
    ("width", "wanted"),
    [
        (200, (f"wave 1: {UNIT}", 40, WHOLE)),
        (130, (f"wave 1: {UNIT}", 16, WHOLE)),
        (115, (f"wave 1: {UNIT}", 0, WHOLE)),
        (100, ("wave 1: ifd + flagged + score_range + n…", 0, WHOLE)),
        (80, ("wave 1: ifd + flagg…", 0, WHOLE)),
        (60, ("wave 1: ifd + fl…", 0, "60/198, 1 row/s, 2,000 tokens/s, 1:55 left")),
        (30, ("wave 1: ifd…", 0, "60/198, 1:55 left")),
        (10, ("", 0, "60/198, 1:55 left")),
    ],
)
def test_the_bar_goes_first_then_the_description_and_never_count_or_time(width, wanted) -> None:
    assert fitted(NOW, RATES, width) == wanted


@pytest.mark.parametrize("width", [80, 100])
def test_a_terminal_shows_count_and_time_left_on_one_line(width, shown) -> None:
    def write(terminal: TextIO) -> None:
        with watching(Screen(io.StringIO(), terminal)) as tell:
            assert tell is not None
            tell(replace(NOW, rows_done=0, tokens=0, wall_s=0.0))
            tell(NOW)

    lines = re.split(r"\x1b\[[0-9;?]*[a-zA-Z]|[\r\n]", shown(width, write))
    [last] = {line.rstrip() for line in lines if "60/198" in line}
    assert last.startswith("wave 1: ifd + flag")
    assert last.endswith(f"… {WHOLE}")
    assert max(map(len, lines)) <= width


def test_an_engine_that_starts_is_named_once_and_its_start_is_no_work(monkeypatch) -> None:
    monkeypatch.setattr("gristmill.commands.bar.EVERY_S", 0.0)
    err = io.StringIO()
    with watching(Screen(io.StringIO(), err)) as tell:
        assert tell is not None
        for wall_s in (10.0, 20.0, 30.0):
            tell(Progress(UNIT, 1, 0, 54, 54, 0, 0, 0, wall_s, starting=["generator"]))
        tell(Progress(UNIT, 1, 2, 54, 54, 80, 2, 0, 40.0, starting=["embedder", "scorer"]))
        tell(Progress(UNIT, 1, 14, 54, 54, 200, 14, 0, 44.0))
        tell(Progress(UNIT, 2, 0, 10, 30, 200, 14, 0, 50.0, starting=["generator"]))
    assert err.getvalue().splitlines() == [
        f"{UNIT}: starting engine generator",
        f"{UNIT}: starting engine embedder + scorer",
        f"{UNIT}: 14 of 54 rows, 3 rows/s, 30 tokens/s, 54 kept before, 0:13 left",
        f"{UNIT}: starting engine generator",
    ]


def test_the_progress_line_names_an_engine_that_starts_and_gives_no_rates() -> None:
    now = replace(NOW, rows_done=0, starting=["generator"])
    assert fitted(now, RATES, 80) == (
        "wave 1: ifd + flagged + score_range + near_dup…", 0, "0/198, starting engine generator",
    )  # fmt: skip
    assert worded(now, RATES) == "starting engine generator"


class Slow(Scripted):
    """Starts once somebody has been told so."""

    _looks: list[Progress] = PrivateAttr(default_factory=list)

    async def start(self) -> None:
        while not any(look.starting for look in self._looks):  # noqa: ASYNC110 - told by a callback
            await asyncio.sleep(0.02)


def test_a_run_says_which_engine_it_starts(place) -> None:
    engine: Any = Slow()
    export = ["export={card: false, report: false}"]
    run(
        Recipe.load("tiny.yaml", export), None, {"generator": engine}, progress=engine._looks.append
    )
    told = [look.starting for look in engine._looks]
    assert ["generator"] in told
    assert told[-1] == []
