"""The progress line on terminals of many widths, and where there is none."""

import io
import os
import re
from dataclasses import replace

import pytest

from gristmill.commands.bar import fitted, watching
from gristmill.commands.screen import Screen
from gristmill.engines.progress import Progress

UNIT = "ifd + flagged + score_range + near_duplicates"
NOW = Progress(UNIT, 1, 60, 198, 198, 100_000, 60, 0, 50.0)
RATES = (1.2, 2000.0, 115.0)
WHOLE = "60/198, 1 rows/s, 2,000 tokens/s, 198 kept before, 1:55 left"


@pytest.mark.parametrize(
    ("width", "wanted"),
    [
        (200, (f"wave 1: {UNIT}", 40, WHOLE)),
        (130, (f"wave 1: {UNIT}", 15, WHOLE)),
        (115, (f"wave 1: {UNIT}", 0, WHOLE)),
        (100, ("wave 1: ifd + flagged + score_range + …", 0, WHOLE)),
        (80, ("wave 1: ifd + flag…", 0, WHOLE)),
        (60, ("wave 1: ifd + f…", 0, "60/198, 1 rows/s, 2,000 tokens/s, 1:55 left")),
        (30, ("wave 1: ifd…", 0, "60/198, 1:55 left")),
        (10, ("", 0, "60/198, 1:55 left")),
    ],
)
def test_the_bar_goes_first_then_the_description_and_never_count_or_time(width, wanted) -> None:
    assert fitted(NOW, RATES, width) == wanted


@pytest.mark.parametrize("width", [80, 100])
def test_a_terminal_shows_count_and_time_left_on_one_line(width, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LINES", "40")
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as err:
        with watching(Screen(io.StringIO(), err)) as tell:
            assert tell is not None
            tell(replace(NOW, rows_done=0, tokens=0, wall_s=0.0))
            tell(NOW)
        shown = os.read(ours, 100_000).decode()
    os.close(ours)
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "\r", shown).replace("\n", "\r").split("\r")
    [last] = {line.rstrip() for line in lines if "60/198" in line}
    assert last.startswith("wave 1: ifd + flag")
    assert last.endswith(f"… {WHOLE}")
    assert max(map(len, lines)) <= width
