"""An interactive session turn by turn: all cells run again, and what was shown must come again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from gristmill.engines.sandbox.program import Cell, Program, Verdict


async def show_last(
    run: Callable[[Program], Awaitable[Verdict]],
    cells: Sequence[str],
    shown: Sequence[str | None],
    show: Callable[[Cell], str],
    *,
    timeout_s: float,
    profile: str,
) -> tuple[str | None, Verdict]:
    """Run cells and return what the last one shows; None where those before show something else.

    Args:
        run: The sandbox.
        cells: Texts of the session so far.
        shown: What all but the last showed when they were the last.
        show: Makes a text of what a cell did.
        timeout_s: Wall-clock limit of one cell.
        profile: What cells can import.
    """
    limits = {"cell_timeout_s": timeout_s, "timeout_s": timeout_s * len(cells) * 2}
    verdict = await run(Program("", cells=tuple(cells), profile=profile, **limits))  # type: ignore[arg-type]
    found = [show(cell) for cell in verdict.cells]
    is_same = len(found) == len(cells) and found[:-1] == list(shown)
    return (found[-1] if is_same else None), verdict
