"""The card on the versions of a dataset that grows: what each of them added, and from what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gristmill.publishing.charts import number
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
        origin = (
            f"From {counted(told['seeds'], 'new seed')} of the input `{told['digest']}`, in the "
            f"run {code_span(told['run'], 100)}."
        )
        yield (
            f"**v{told['version']}**: {counted(diff['added'])} added, "
            f"{number(diff['changed'])} changed, {number(diff['removed'])} removed; "
            f"{number(told['rows'])} in all. "
            f"{'As people marked them.' if told.get('marked') else origin}"
        )
        if told["lost"]:
            yield "What left: " + ", ".join(
                f"{code_span(code, 80)} {number(n)}" for code, n in told["lost"].items()
            )
        yield ""
