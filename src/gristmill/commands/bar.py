"""The progress of a run on a terminal, or a line now and then where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from gristmill.commands.screen import Screen
from gristmill.engines.progress import Progress
from gristmill.text.plurals import counted

EVERY_S = 10.0
"""Between two lines where stderr is a file: a day of work is then under 10,000 lines."""
DESCRIBED = 12
"""Columns that the names of the stages get, as long as there are rates to leave out."""
BAR = (10, 40)
"""Columns of the bar, at least and at most; narrower it says nothing."""
Tell = Callable[[Progress], None]


@contextmanager
def watching(screen: Screen) -> Iterator[Tell | None]:
    """Show progress while the body runs."""
    if screen.quiet:
        yield None
    elif screen.err.isatty():
        with _bar(screen) as tell:
            yield tell
    else:
        yield _lines(screen)


class Rates:
    """Rows and tokens per second of the unit under way, and the time it still needs.

    An engine that loads keeps the rows waiting: that time counts for neither.
    """

    def __init__(self) -> None:
        self._first: Progress | None = None

    def __call__(self, now: Progress) -> tuple[float, float, float | None]:
        """Return rows/s, tokens/s and the seconds left, None when nobody can say."""
        first = self._first
        if first is None or (first.unit, first.wave) != (now.unit, now.wave) or now.starting:
            first = self._first = now
        passed = now.wall_s - first.wall_s
        if passed <= 0:
            return 0.0, 0.0, None
        rows = (now.rows_done - first.rows_done) / passed
        left = (now.rows_total - now.rows_done) / rows if rows > 0 else None
        return rows, (now.tokens - first.tokens) / passed, left


def worded(now: Progress, rates: tuple[float, float, float | None]) -> str:
    """Return one look as text."""
    middle, end = _parts(now, rates)
    return ", ".join(middle + end)


def fitted(
    now: Progress, rates: tuple[float, float, float | None], width: int
) -> tuple[str, int, str]:
    """Return description, columns for the bar and numbers of one look, for a line so wide.

    The bar goes first, then the end of the description, then rates; count and time left stay.
    """
    middle, end = _parts(now, rates)
    count = f"{now.rows_done}/{now.rows_total}"
    text = ", ".join([count, *middle, *end])
    while (room := max(0, width - len(text) - 1)) < DESCRIBED and middle:
        middle.pop()
        text = ", ".join([count, *middle, *end])
    said = f"wave {now.wave}: {now.unit}"
    if len(said) > room:
        said = f"{said[: room - 1]}…" if room else ""
    bar = min(BAR[1], room - len(said) - 1)
    return said, bar if bar >= BAR[0] else 0, text


def _parts(now: Progress, rates: tuple[float, float, float | None]) -> tuple[list[str], list[str]]:
    """Return what is said of a look, and what is said last: the time left, when it is known."""
    if now.starting:
        return [_starts(now)], []
    rows, tokens, left = rates
    middle = [f"{counted(round(rows))}/s", f"{counted(round(tokens), 'token')}/s"]
    if now.rows_done:
        middle.append(f"{now.kept:,} kept before")
    return middle, [] if left is None else [f"{_time(left)} left"]


def _starts(now: Progress) -> str:
    return f"starting engine {' + '.join(now.starting)}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _links(say: Callable[[str], None]) -> Tell:
    """Return what says once where Ray's dashboard is: Ray starts in the middle of a run."""
    said: list[str] = []

    def tell(now: Progress) -> None:
        if now.dashboard and not said:
            said.append(now.dashboard)
            say(f"Ray's dashboard: {now.dashboard}")

    return tell


def _lines(screen: Screen) -> Tell:
    rates, last, link = Rates(), [time.monotonic()], _links(screen.note)
    before = list[str]()

    def tell(now: Progress) -> None:
        nonlocal before
        link(now)
        known = rates(now)
        if now.starting:
            if now.starting != before:
                screen.note(f"{now.unit}: {_starts(now)}")
        elif time.monotonic() - last[0] >= EVERY_S:
            last[0] = time.monotonic()
            done = f"{now.rows_done:,} of {counted(now.rows_total)}"
            screen.note(f"{now.unit}: {done}, {worded(now, known)}")
        before = now.starting

    return tell


@contextmanager
def _bar(screen: Screen) -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    rates = Rates()
    said = TextColumn("{task.description}", markup=False)
    text = TextColumn("{task.fields[text]}", markup=False)
    with Bar(said, console=Console(file=screen.err), transient=True) as bar:
        task = bar.add_task("starting", total=None, text="")
        link = _links(partial(bar.console.print, markup=False, highlight=False))

        def tell(now: Progress) -> None:
            link(now)
            description, size, numbers = fitted(now, rates(now), bar.console.width)
            bar.columns = (said, BarColumn(size), text) if size else (said, text)
            bar.update(
                task,
                description=description,
                total=now.rows_total,
                completed=now.rows_done,
                text=numbers,
            )

        yield tell
