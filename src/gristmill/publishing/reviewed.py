"""The card on what people marked: how many rows, and what became of the marks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from gristmill.formats import marks
from gristmill.publishing import changelog
from gristmill.publishing.charts import leading
from gristmill.publishing.escape import code_span
from gristmill.publishing.files import RunFiles


@dataclass(frozen=True)
class Reviewed:
    """Marks by what became of them."""

    dropped: int
    """Rows that left for a mark."""
    confirmed: int
    """Rows of the dataset that no filter rejected and a person kept."""
    brought_back: Counter[tuple[str, str]]
    """Rows of the dataset that filters had rejected, by the last filter and its code."""
    idle: int
    """Marks that changed nothing of this dataset."""


def counts(run: RunFiles) -> Reviewed | None:
    """Count the marks of a run; None where nobody marked anything."""
    said = marks.read(run.path).by_id
    if not said:
        return None
    dropped, confirmed, brought_back = 0, 0, Counter[tuple[str, str]]()
    inside = set(run.kept)
    for row in run.last_of(said):
        mark = said[row["id"]]
        is_meant = mark.text == marks.text_of(row)
        if mark.says == "drop":
            dropped += row["end_code"] == marks.DROPPED and is_meant
        elif row["id"] in inside and is_meant:
            if past := marks.overruled(row):
                brought_back[list(past.items())[-1]] += 1
            else:
                confirmed += 1
    idle = len(said) - dropped - confirmed - brought_back.total()
    return Reviewed(dropped, confirmed, brought_back, idle)


def section(run: RunFiles) -> Iterator[str]:
    """Yield the lines of the card; nothing where nobody marked anything."""
    found = counts(run)
    if found is None:
        return
    out, left = (leading(n, marks.FILE) for n in (found.dropped, found.confirmed))
    yield f"- Rows taken out, with the code `{marks.DROPPED}`: {out}."
    yield f"- Rows looked at and left in: {left}."
    for (stage, code), n in sorted(found.brought_back.items()):
        why = f"`{stage}` had rejected as {code_span(code, 60)}"
        yield f"- Rows brought back that {why}: {leading(n, marks.FILE)}."
    if found.idle:
        yield (
            f"- Marks without effect: {leading(found.idle, marks.FILE)}. Their rows read otherwise "
            "by now, were rejected again by a later stage, were never in, or were marked after "
            "this was built."
        )
    # A dataset that grows has no run of all its seeds that could be reviewed as it was.
    again = (
        ": `build-dataset review last --import marks.jsonl` after a first run, and the same "
        "command again, build the same rows."
    )
    yield (
        "\nA row that was brought back keeps the verdicts it has. `marks.jsonl` lies beside this "
        f"card{'.' if changelog.versions(run) else again}"
    )
