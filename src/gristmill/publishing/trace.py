"""From a row back to its seed: ancestors, stages, what each of them found, calls used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from gristmill.errors import InputError
from gristmill.publishing.calls import Reply, replies
from gristmill.publishing.charts import number
from gristmill.publishing.escape import cut, line, printable
from gristmill.publishing.files import RunFiles
from gristmill.publishing.report import environment
from gristmill.publishing.said import texts
from gristmill.storage.rows import STRUCTS, Row
from gristmill.text.plurals import counted

SHORTEST = 6
"""Letters that the start of an id must have; a shorter number is a position in the dataset."""
TEXT_CHARS, TEXT_LINES = 300, 12
KEY_CHARS, REPLY_CHARS = 12, 120
"""Of a call that is shown in one line."""


@dataclass(frozen=True)
class Step:
    """What one stage did with a row."""

    stage: str
    what: str
    """made, passed, expanded, rejected or failed."""
    code: str | None
    detail: str | None
    columns: dict[str, Any]
    """What it wrote: verdicts, scores, picks, notes."""


@dataclass(frozen=True)
class Ancestor:
    """One row of the line, with its own way through the stages."""

    id: str
    stage: str
    """Where it was made; `seeds` for a seed."""
    round: int
    parents: list[str]
    texts: list[tuple[str, str]]
    gen: dict[str, Any] | None
    """The call that wrote its text."""
    calls: list[str]
    """Keys of the answers that it used itself, without those of its parents."""
    source: str | None
    license: str | None
    steps: list[Step]


@dataclass(frozen=True)
class Trace:
    """The line of one row."""

    id: str
    run: str
    position: int | None
    """Place in the dataset, from 0; None for a row that is not in it."""
    line: list[Ancestor]
    """Seed first, the row itself last."""
    replies: dict[str, Reply] | None
    """What the calls gave, by key; None where the answer store is not at hand."""
    prompts: dict[str, str] = field(default_factory=dict)
    """What was asked, by key, where that was made again."""
    why_not: str | None = None
    """Why some of it could not be made again."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-like data."""
        return asdict(self)


def trace(path: Path, which: str | int) -> Trace:
    """Trace a row, given by its id, the start of its id, or its position in the dataset.

    Raises:
        InputError: No row, or more than one, goes by that name.
    """
    run = RunFiles.open(path)
    row_id = find(run, which)
    units = {unit["folder"]: unit["labels"] for unit in run.note["units"]}
    generations: list[list[str]] = [[row_id]]
    seen: dict[str, list[Row]] = {}
    while new := [i for i in dict.fromkeys(generations[-1]) if i not in seen]:
        for i in new:
            seen[i] = []
        for record in run.lines_of(new):
            seen[record["id"]].append(record)
        parents = [p for i in new if seen[i] for p in seen[i][-1]["parents"]]
        generations.append(list(dict.fromkeys(parents)))
    order = dict.fromkeys(i for names in reversed(generations) for i in names if seen.get(i))
    line_ = [_ancestor(seen[i], seen, units) for i in order]
    place = run.kept.index_of(row_id)
    keys = [key for row in line_ for key in row.calls]
    return Trace(row_id, run.path.name, place, line_, replies(path, keys))


def find(run: RunFiles, which: str | int) -> str:
    """Return the id that a person means."""
    text = str(which).strip().removeprefix("#")
    if isinstance(which, int) or (text.isdecimal() and len(text) < SHORTEST):
        if not 0 <= int(text) < len(run.kept):
            raise InputError(
                f"{run.path.name}: no row at position {text}; the dataset has {len(run.kept)}, "
                "counted from 0"
            )
        return str(run.kept[int(text)])
    if len(text) < SHORTEST:
        raise InputError(f"row '{text}': give at least {SHORTEST} letters of its id")
    found = run.rows.filter(pl.col("id").str.starts_with(text.lower()))["id"].to_list()
    if len(found) == 1:
        return str(found[0])
    if not found:
        raise InputError(
            f"{run.path.name}: no row's id starts with '{text}' among {counted(len(run.rows))}; "
            "ids are in the dataset's column 'id', a number is a position in it"
        )
    raise InputError(
        f"{run.path.name}: {len(found)} ids start with '{text}': {', '.join(sorted(found)[:5])}; "
        "give more letters"
    )


def rows(
    path: Path,
    end: str | None = None,
    at: str | None = None,
    code: str | None = None,
    n: int = 20,
) -> list[Row]:
    """Return up to `n` rows that ended so, in the order of their ids, each by its last line."""
    run = RunFiles.open(path)
    found = run.rows
    for column, wanted in (("end", end), ("end_at", at), ("end_code", code)):
        if wanted is not None:
            found = found.filter(pl.col(column) == wanted)
    return run.last_of(found["id"].sort().head(n).to_list())


def render(found: Trace, *, whole: bool = False) -> str:
    """Return the trace as plain text, safe for a terminal (print it without markup).

    `whole` shows every reply to its end, and what was asked where the trace has it.
    """
    where = "not in the dataset" if found.position is None else f"row {found.position}"
    lines = [f"{found.id}  {where} of {found.run}", *_lines(found, whole)]
    if any(row.calls for row in found.line):
        shown = "every reply is shown" if whole else "each reply is shown by its start"
        if found.replies is None:
            shown = "the answer store is not at hand to show the replies"
        elif whole and found.why_not:
            shown += f", but not every prompt: {line(found.why_not, TEXT_CHARS)}"
        elif not whole:
            shown += "; `--calls` shows all of it, and what was asked"
        lines += ["", shown]
    return "\n".join(lines)


def _calls(row: Ancestor, found: Trace, whole: bool) -> Iterator[str]:
    known = found.replies or {}
    for key in row.calls:
        reply = known.get(key)
        if reply is None:
            yield f"  call {key}"
        elif whole:
            yield f"  call {key}  {reply.kind}:"
            asked = found.prompts.get(key)
            yield from (f"    > {at}" for at in printable(asked).split("\n")) if asked else ()
            yield from (f"    {at}" for at in printable(reply.text).split("\n"))
        else:
            start = line(reply.text, REPLY_CHARS)
            yield f"  call {key[:KEY_CHARS]}  {reply.kind}: {start}".rstrip()


def page(found: Trace) -> str:
    """Return the trace as one HTML file without a script or a request."""
    templates = environment()
    templates.filters["brief"] = _short
    return templates.get_template("trace.html.j2").render(trace=found)


def _lines(found: Trace, whole: bool) -> Iterator[str]:
    for depth, row in enumerate(found.line):
        yield ""
        yield f"{'seed' if not row.parents else f'made by {row.stage}'}  {row.id}"
        facts = [("source", row.source), ("licence", row.license)] if depth == 0 else []
        facts += [(name, text) for name, text in row.texts]
        if row.gen:
            told = ", ".join(f"{k}={_short(v)}" for k, v in row.gen.items() if v not in (None, ""))
            facts.append(("written by", told))
        for name, text in facts:
            yield from _text(name, text)
        width = max((len(step.stage) for step in row.steps), default=0)
        for step in row.steps:
            wrote = " ".join(f"{line(k)}={_short(v)}" for k, v in step.columns.items())
            why = ": ".join(filter(None, [step.code, line(step.detail or "", TEXT_CHARS)]))
            told = "  ".join(filter(None, [wrote, why]))
            yield f"  {step.stage:{width}}  {step.what:8}  {told}".rstrip()
        yield from _calls(row, found, whole)


def _text(name: str, text: str | None) -> Iterator[str]:
    """Give a text beside its name, or below it when it has lines."""
    first, *more = printable(text or "").strip("\n").split("\n")
    if first and not more:
        yield f"  {line(name)}: {line(first, TEXT_CHARS)}"
    elif more:
        yield f"  {line(name)}:"
        yield from (f"    {cut(at, TEXT_CHARS)}" for at in [first, *more][:TEXT_LINES])
        if len(more) >= TEXT_LINES:
            yield f"    … {counted(len(more) + 1 - TEXT_LINES, 'more line')}"


def _ancestor(lines: list[Row], seen: dict[str, list[Row]], units: dict[str, Any]) -> Ancestor:
    last = lines[-1]
    above = [row for p in last["parents"] for row in seen.get(p, [])[-1:]]
    inherited = {key for row in above for key in row["calls"]}
    return Ancestor(
        last["id"],
        last["stage"],
        last["round"],
        last["parents"],
        list(texts(last)),
        last.get("gen"),
        [key for key in last["calls"] if key not in inherited],
        last.get("source"),
        last.get("license"),
        [step for record in lines for step in _steps(record, units[record["unit"]])],
    )


def _steps(record: Row, labels: list[str]) -> Iterator[Step]:
    """Give the stages of one unit that a row went through, up to where it ended."""
    born, at, end = record["stage"], record["end_at"], record["end"]
    if born in labels:
        yield Step(born, "made", None, None, _wrote(record, born))
    first = labels.index(born) + 1 if born in labels else 0
    for label in labels[first : labels.index(at)]:
        yield Step(label, "passed", None, None, _wrote(record, label))
    if end != "kept" or at != born:
        what = "passed" if end == "kept" else end
        why = record["end_detail"] or (record["end_error"] or "").strip().rpartition("\n")[2]
        yield Step(at, what, record["end_code"], why or None, _wrote(record, at))


def _wrote(record: Row, label: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for struct in (*STRUCTS, "meta"):
        columns = (record.get(struct) or {}).get(label)
        if isinstance(columns, dict):
            found |= {name: value for name, value in columns.items() if value is not None}
    return found


def _short(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list) and len(value) > 8:
        return f"[{len(value)} values]"
    return line(str(value), 80)
