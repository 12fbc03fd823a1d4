"""The progress of a run on a terminal, or a line now and then where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from gristmill.commands.screen import Screen
from gristmill.engines.progress import Progress

EVERY_S = 10.0
"""Between two lines where stderr is a file: a day of work is then under 10,000 lines."""
Tell = Callable[[Progress], None]


@contextmanager
def watching(screen: Screen) -> Iterator[Tell | None]:
    """Show progress while the body runs."""
    if screen.quiet:
        yield None
    elif screen.err.isatty():
        with _bar() as tell:
            yield tell
    else:
        yield _lines(screen)


class Rates:
    """Rows and tokens per second of the unit under way, and the time it still needs."""

    def __init__(self) -> None:
        self._first: Progress | None = None

    def __call__(self, now: Progress) -> tuple[float, float, float | None]:
        """Return rows/s, tokens/s and the seconds left, None when nobody can say."""
        first = self._first
        if first is None or (first.unit, first.wave) != (now.unit, now.wave):
            first = self._first = now
        passed = now.wall_s - first.wall_s
        if passed <= 0:
            return 0.0, 0.0, None
        rows = (now.rows_done - first.rows_done) / passed
        left = (now.rows_total - now.rows_done) / rows if rows > 0 else None
        return rows, (now.tokens - first.tokens) / passed, left


def worded(now: Progress, rates: tuple[float, float, float | None]) -> str:
    """Return one look as text."""
    rows, tokens, left = rates
    parts = [f"{rows:,.0f} rows/s", f"{tokens:,.0f} tokens/s"]
    if now.rows_done:
        parts.append(f"{now.kept:,} kept before")
    parts.append("" if left is None else f"{_time(left)} left")
    return ", ".join(part for part in parts if part)


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

    def tell(now: Progress) -> None:
        link(now)
        known = rates(now)
        if time.monotonic() - last[0] >= EVERY_S:
            last[0] = time.monotonic()
            done = f"{now.rows_done:,} of {now.rows_total:,} rows"
            screen.note(f"{now.unit}: {done}, {worded(now, known)}")

    return tell


@contextmanager
def _bar() -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    rates = Rates()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None, text="")
        link = _links(partial(bar.console.print, markup=False, highlight=False))

        def tell(now: Progress) -> None:
            link(now)
            bar.update(
                task,
                description=f"wave {now.wave}: {now.unit}"[:60],
                total=now.rows_total,
                completed=now.rows_done,
                text=worded(now, rates(now)),
            )

        yield tell
