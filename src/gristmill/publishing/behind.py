"""The rows behind the figures of card and report: some of each, by name, so that doubt can look.

Which rows a figure counts is read from the shards, so their number is a second count of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gristmill.publishing import facts
from gristmill.publishing.charts import number
from gristmill.publishing.counting import Counted, Key, figures, stages
from gristmill.publishing.escape import code_span, cut
from gristmill.publishing.files import RunFiles

CHARS = 160
"""Of a row's text that is shown."""
ON_CARD = 3
"""Rows behind a figure that the card names."""
TOLD = (
    "seeds", "kept", "verified", "not verified", "verdict", "lengths", "failed", "answers",
    "source", "dropped", "flagged", "pairs", "critic", "tokens",
)  # fmt: skip
"""Kinds of figures that the card has."""
TITLE = "Rows behind the figures"


@dataclass(frozen=True)
class Shown:
    """A row behind a figure: how it ended, and what it says as everybody may read it."""

    id: str
    said: str
    ended: str
    text: str


@dataclass(frozen=True)
class Behind:
    """Some of the rows behind a figure."""

    anchor: str
    """Where they stand in the report: never a name from the data."""
    where: str
    what: str
    n: int
    rows: list[Shown]


def behind(
    run: RunFiles, most: int, more: Mapping[Key, Counted] | None = None
) -> dict[Key, Behind]:
    """Return up to `most` rows behind every figure that counts rows, by what it is about."""
    return _named(run, {**dict(figures(run, most)), **(more or {})}, "rows")


def before(run: RunFiles, most: int) -> dict[Key, Behind]:
    """Return up to `most` rows behind what each stage of an older run counts."""
    is_there = run.files and all(file.exists() for file in run.files)
    return _named(run, dict(stages(run, most)) if is_there else {}, "before")


def _named(run: RunFiles, counts: Mapping[Key, Counted], anchor: str) -> dict[Key, Behind]:
    there = {key: one for key, one in counts.items() if one.n}
    ids = dict.fromkeys(i for one in there.values() for i in one.some)
    show = facts.publishable(run)
    known = {row["id"]: (_ended(row), show(row)) for row in run.last_of(ids)}
    found = {}
    for at, (key, one) in enumerate(there.items(), 1):
        rows = [Shown(i, said, known[i][0], _text(known[i][1])) for i, said in one.some.items()]
        where, what = _words(key)
        found[key] = Behind(f"{anchor}-{at}", where, what, one.n, rows)
    return found


def section(run: RunFiles) -> Iterator[str]:
    """Yield the lines of the card: some rows by id of everything that its tables count.

    Rows of every reject code stand among its examples.
    """
    known = {key: one for key, one in behind(run, ON_CARD).items() if key[0] in TOLD}
    if not known:
        return
    yield (
        "Ids of some of the rows that a figure above counts, the smallest first. Who has the run "
        "sees any of them with `build-dataset trace`, calls and verdicts included, and goes "
        "through all with `build-dataset review`.\n"
    )
    yield "| of | what | rows | ids |"
    yield "|---|---|--:|---|"
    for one in known.values():
        ids = " ".join(f"`{row.id[:12]}`" for row in one.rows)
        what = code_span(one.what, 60)
        yield f"| {code_span(one.where, 100)} | {what} | {number(one.n)} | {ids} |"


def _words(key: Key) -> tuple[str, str]:
    """Return what a figure is of, and what it counts there."""
    kind, *rest = key
    match kind, rest:
        case "code", [label, code]:
            return label, code
        case "verdict", [label, column, *word]:
            return f"{label}.{column}", ", ".join(word) or "judged or not"
        case "critic", [label, what]:
            return label, what
        case "topic", [nth, *more]:
            return f"topic {nth}", ", ".join(more) or "rows"
        case (("dropped" | "flagged"), [label, benchmark, method]):
            return label, f"{kind}: {benchmark} by {method}"
        case (("in" | "made" | "kept" | "failed"), [label]):
            return label, kind
        case "lengths", [label, difference]:
            return label, f"the other answer shorter by {difference}"
        case "lost", [label]:
            return label, "rejected"
    return kind, ", ".join(rest)


def _ended(row: Mapping[str, object]) -> str:
    if row["end"] == "kept":
        return "kept"
    code = f": {row['end_code']}" if row["end_code"] else ""
    return f"{row['end']} at {row['end_at']}{code}"


def _text(shown: facts.Example) -> str:
    longest = max((text for _, text in shown.texts), key=len, default="")
    return cut(" ".join(longest.split()), CHARS)
