"""status --watch: stages, rates, yields and engines of a run, again and again until it ends.

It reads what `status` reads, the run's files, so any number may watch, from any terminal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gristmill.commands.bar import Rates, worded
from gristmill.commands.screen import Screen, aligned
from gristmill.commands.status import Seen, engine_lines, seen
from gristmill.engines.progress import Progress
from gristmill.publishing.escape import printable
from gristmill.text.plurals import counted

EVERY_S = 2.0
"""Between two looks: a run writes its own so often."""
HEADS = ("stage", "in", "kept", "yield", "rejected", "failed")


def watch(
    run: Path, workspace: Path, screen: Screen, pause: Callable[[float], None] = time.sleep
) -> None:
    """Show a run until no process works in its workspace; Ctrl-C ends the watching alone."""
    rates, looks = Rates(), list[Progress]()
    with _canvas(screen) as show:
        while (at := seen(run, workspace)).is_live:
            if at.now and [at.now] != looks[-1:]:
                looks = [*looks[-1:], at.now]
            show([printable(text).replace("\n", " ") for text in _told(at, looks, rates)])
            try:
                pause(EVERY_S)
            except KeyboardInterrupt:
                return


def _told(at: Seen, looks: list[Progress], rates: Rates) -> Iterator[str]:
    """Yield the lines of one look; rates are those since the look before."""
    yield f"{at.run}: {at.state}"
    if at.now:
        done = f"{at.now.rows_done:,} of {counted(at.now.rows_total)}"
        yield f"now {at.now.unit}, wave {at.now.wave}: {done}, {worded(at.now, rates(at.now))}"
        if at.now.dashboard:
            yield f"Ray's dashboard: {at.now.dashboard}"
    if at.stages:
        yield ""
        yield from aligned(HEADS, [_stage(told) for told in at.stages])
    if at.now:
        yield ""
        yield from engine_lines(at.now, looks[0] if len(looks) > 1 else None)


def _stage(told: Mapping[str, Any]) -> list[Any]:
    """Return what a stage did; its yield is rows kept for each that came in."""
    lost = told["rejected"] + told["rejected_children"]
    rate = f"{told['kept'] / told['in']:.2f}" if told["in"] else "-"
    return [told["stage"], told["in"], told["kept"], rate, lost, told["failed"]]


@contextmanager
def _canvas(screen: Screen) -> Iterator[Callable[[list[str]], None]]:
    """Give what shows lines: in place on a terminal, one block after another elsewhere."""
    if screen.json:
        yield lambda _: None
    elif not screen.out.isatty():
        last: list[list[str]] = []

        def write(lines: list[str]) -> None:
            if [lines] != last:
                last[:] = [lines]
                screen.line("\n".join([*lines, ""]))
                screen.out.flush()

        yield write
    else:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        with Live(console=Console(file=screen.out), auto_refresh=False, transient=True) as live:
            yield lambda lines: live.update(
                Text("\n".join(lines), no_wrap=True, overflow="ellipsis"), refresh=True
            )
