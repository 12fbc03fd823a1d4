"""The card on the versions of a dataset that grows: what each of them added, and from what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gristmill.publishing.charts import LOST, ROWS, leading, linked
from gristmill.publishing.escape import code_span
from gristmill.publishing.files import RunFiles
from gristmill.text.plurals import counted


def versions(run: RunFiles) -> list[dict[str, Any]]:
    """Return what the ledger says of every version, the first one first; nothing of a plain run."""
    return list(run.note.get("versions") or [])


def section(run: RunFiles) -> Iterator[str]:
    """Yield a paragraph per version, the newest first."""
    for told in reversed(versions(run)):
        diff = told["diff"]
        seeds = linked(counted(told["seeds"], "new seed"))
        origin = (
            f"From {seeds} of the input `{told['digest']}`, in the "
            f"run {code_span(told['run'], 100)}."
        )
        yield (
            f"**v{told['version']}**: {linked(counted(diff['added']), _file(run, told))} added, "
            f"{leading(diff['changed'])} changed, {leading(diff['removed'], LOST)} removed; "
            f"{leading(told['rows'])} in all. "
            f"{'As people marked them.' if told.get('marked') else origin}"
        )
        if told["lost"]:
            yield "What left: " + ", ".join(
                f"{code_span(code, 80)} {leading(n, LOST)}" for code, n in told["lost"].items()
            )
        yield ""


def _file(run: RunFiles, told: dict[str, Any]) -> str:
    """Return where the rows stand that a version added; rows of one that has no file, by ids."""
    own = f"-v{told['version']:04d}."
    return next((name for name in run.note.get("dataset") or () if own in name), ROWS)
