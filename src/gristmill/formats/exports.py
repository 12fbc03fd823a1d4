"""Write a dataset folder: Parquet that `load_dataset` reads as it is, and files for trainers.

    data/train-00000-of-00001.parquet      every column; validation-... beside it, if asked for
    exports/<format>/train.jsonl           only what is trained on; validation.jsonl beside it

A conversation is exported whole while its first and last turn are still the row's instruction
and output; after a stage rewrote one of them, the row is a single exchange. Formats:
- `messages`: ChatML turns, with a `tools` column if there is one.
- `sharegpt`: `conversations` of `from` and `value`.
- `alpaca`: `instruction`, `input`, `output`; if any row needs them, every row has `system` and
  `history`, the pairs before. A conversation with tools does not fit and is left out.
- `prompt-completion`: two texts, or, if any row is more than one exchange, two lists of turns.
- `csv`: the columns that are texts, numbers or truth values, safe to open in a spreadsheet.
Instruction and input become one message as a scorer reads it (`text/turns.py`): a note such as
`<noinput>` in the place of an input is not trained on. Rows without an answer are no training rows:
they are in the Parquet files only. What an export leaves out is counted.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from gristmill.storage.ids import digest
from gristmill.storage.rows import Row
from gristmill.storage.shards import replacing, write_parquet
from gristmill.text.chat import Turn, chatml, exchange, sharegpt
from gristmill.text.detectors import is_marker
from gristmill.text.turns import question

log = logging.getLogger(__name__)

Format = Literal["messages", "alpaca", "sharegpt", "prompt-completion", "csv"]
READ = ("instruction", "input", "output", "messages", "tools")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
PLAIN = {"role", "content"}
SEPARATORS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
"""Escaped, because many readers take them for ends of lines."""


class Export(BaseModel):
    """What is written at the end: the recipe's `export`. Changes no row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    formats: list[Format] = []
    validation_rate: float = Field(default=0.0, ge=0, lt=1)
    """Share of the roots (0..1) whose rows are held out; no text is on both sides."""
    card: bool = True
    report: bool = True


def write_dataset(table: pa.Table, folder: Path, export: Export) -> dict[str, int]:
    """Write the folder and return its files with their rows; files of an earlier run go."""
    held = pa.array(held_out(table, export.validation_rate), pa.bool_())
    parts = {"train": table.filter(pc.invert(held)), "validation": table.filter(held)}
    files: dict[str, int] = {}
    for split, part in parts.items():
        if len(part) or split == "train":
            name = f"data/{split}-00000-of-00001.parquet"
            write_parquet(folder / name, part)
            files[name] = len(part)
    said = (_talk(row) for row in _rows(table, READ[:4])) if export.formats else ()
    is_plain = not any(turns and _is_more(turns) for turns in said)
    for form in export.formats:
        for split, part in parts.items():
            name = f"exports/{form}/{split}.{'csv' if form == 'csv' else 'jsonl'}"
            lines = (
                _csv_lines(part) if form == "csv" else _json_lines(form, part, is_plain=is_plain)
            )
            if n := _write(folder / name, lines):
                files[name] = n - (form == "csv")
                log.info(
                    "export=%s rows=%d left_out=%d", name, files[name], len(part) - files[name]
                )
    _clear(folder, files)
    return files


def held_out(table: pa.Table, rate: float) -> list[bool]:
    """Say for every row whether it is validation: by a hash of its family, never by its place.

    A family are the rows that share a root, a parent, or exactly the same question.
    """
    if not rate or not len(table):
        return [False] * len(table)
    links: dict[str, str] = {}

    def find(key: str) -> str:
        while (up := links.setdefault(key, key)) != key:
            links[key] = key = links[up]
        return key

    names = [
        n for n in ("id", "root", "parents", "instruction", "input") if n in table.column_names
    ]
    roots = []
    for row in table.select(names).to_pylist():
        text = question(row.get("instruction"), row.get("input")).strip()
        keys = [row["id"], *(row["parents"] or []), *([digest(text)] if text else [])]
        roots.append(row["root"])
        for key in keys:
            # The smaller name wins, so a family's is the same whatever the order of its rows.
            one, two = sorted((find(row["root"]), find(key)))
            links[two] = one
    held = [int(digest("validation", find(root))[:12], 16) < rate * 16**12 for root in roots]
    return [False] * len(held) if all(held) else held


def _write(path: Path, lines: Iterator[str]) -> int:
    """Write the lines, if there are any, and return their number."""
    first = next(lines, None)
    if first is None:
        return 0
    with replacing(path) as out:
        out.write(first.encode())
        return 1 + sum(out.write(line.encode()) > 0 for line in lines)


def _rows(table: pa.Table, names: Iterable[str]) -> Iterator[Row]:
    for batch in table.select(list(names)).to_batches(max_chunksize=1024):
        yield from batch.to_pylist()


def _json_lines(form: str, table: pa.Table, *, is_plain: bool) -> Iterator[str]:
    write = WRITERS[form]
    for row in _rows(table, [name for name in table.column_names if name in READ]):
        turns = _talk(row)
        line = write(row, turns, is_plain) if turns else None
        if line is not None:
            text = json.dumps(line, ensure_ascii=False, allow_nan=False)
            yield text.translate(SEPARATORS) + "\n"


def _talk(row: Row) -> list[Turn] | None:
    """Return the conversation that a row is; None if nothing in it answers."""
    turns: list[Turn] | None = row.get("messages")
    asked, answered = row["instruction"], row["output"]
    if turns and exchange(turns) == (asked, answered):
        return turns if any(turn["role"] == "assistant" for turn in turns) else None
    if not asked or answered is None:
        return None
    said = (("user", question(asked, row["input"])), ("assistant", answered))
    return [{"role": role, "content": content, "extra": None} for role, content in said]


def _is_more(turns: Sequence[Turn]) -> bool:
    """Say whether turns are more than a question and an answer in plain text."""
    roles = [turn["role"] for turn in turns]
    return roles != ["user", "assistant"] or any(chatml(turn).keys() - PLAIN for turn in turns)


def _messages(row: Row, turns: Sequence[Turn], is_plain: bool) -> Row:
    line: Row = {"messages": [chatml(turn) for turn in turns]}
    if (tools := row.get("tools")) is not None:
        line["tools"] = json.loads(tools) if str(tools).startswith('[{"') else tools
    return line


def _sharegpt(row: Row, turns: Sequence[Turn], is_plain: bool) -> Row:
    return {"conversations": [sharegpt(turn) for turn in turns]}


def _prompt_completion(row: Row, turns: Sequence[Turn], is_plain: bool) -> Row:
    last = max(i for i, turn in enumerate(turns) if turn["role"] == "assistant")
    if is_plain:
        return {"prompt": turns[0]["content"], "completion": turns[last]["content"]}
    return {
        "prompt": [chatml(turn) for turn in turns[:last]],
        "completion": [chatml(turns[last])],
    }


def _alpaca(row: Row, turns: Sequence[Turn], is_plain: bool) -> Row | None:
    if not _is_more(turns):
        input_ = "" if is_marker(row["input"] or "") else row["input"] or ""
        line = {"instruction": row["instruction"], "input": input_, "output": row["output"]}
        return line if is_plain else {**line, "system": "", "history": []}
    system = turns[0]["content"] if turns[0]["role"] == "system" else ""
    said = turns[1:] if system else turns
    pairs = list(zip(said[::2], said[1::2], strict=False))
    roles = ["user", "assistant"] * len(pairs)
    if [turn["role"] for turn in said] != roles or any(_is_more(pair) for pair in pairs):
        return None
    *history, (asked, answered) = [[turn["content"] for turn in pair] for pair in pairs]
    line = {"instruction": asked, "input": "", "output": answered}
    return {**line, "system": system, "history": history}


def _csv_lines(table: pa.Table) -> Iterator[str]:
    flat = [
        f.name for f in table.schema if pa.types.is_string(f.type) or pa.types.is_primitive(f.type)
    ]
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow(map(harmless, flat))
    for row in _rows(table, flat):
        yield out.getvalue()
        out.seek(0)
        out.truncate()
        writer.writerow([harmless(value) for value in row.values()])
    yield out.getvalue()


def harmless(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _clear(folder: Path, files: Mapping[str, int]) -> None:
    """Remove what an earlier run with other formats or another split left."""
    for path in [*folder.glob("data/*"), *folder.glob("exports/*/*")]:
        if str(path.relative_to(folder)) not in files:
            path.unlink()


WRITERS: dict[str, Callable[[Row, Sequence[Turn], bool], Row | None]] = {
    "messages": _messages,
    "sharegpt": _sharegpt,
    "alpaca": _alpaca,
    "prompt-completion": _prompt_completion,
}
