"""Write a dataset folder: Parquet that `load_dataset` reads as it is, and files for trainers.

    data/train-00000-of-00001.parquet      every column; validation-... beside it, if asked for
    exports/<format>/train.jsonl           only what is trained on; validation.jsonl beside it
    exports/dataset_info.json, axolotl*.yaml   what LLaMA-Factory and Axolotl ask about those files
    exports/notes.json                     what the exports left out, if they did, and why

A conversation is exported up to its last answer while its first and last turn are still the row's
instruction and output; after a stage rewrote one of them, the row is a single exchange. Formats:
- `messages`: ChatML turns, with `tools` where the row or the stage that wrote the turns has them.
- `sharegpt`: `conversations` of `from` and `value`, `tools` as above.
- `alpaca`: `instruction`, `input`, `output`; if any row needs them, every row has `system` and
  `history`, the pairs before. A row with tools, or with parts that are no text, does not fit and
  is left out.
- `prompt-completion`: two texts, or, if any row is more than one exchange, two lists of turns with
  `tools` as above.
- `preference`: `prompt`, `chosen` and `rejected` as lists of turns, which is what TRL's trainers of
  preferences read; `margin`, `chosen_from` and `rejected_from` where the stage that made the pair
  wrote them. Rows that are no pair are left out.
- `ranking`: the same pairs as LLaMA-Factory reads them, in ShareGPT's turns.
- `csv`: the columns that are texts, numbers or truth values, safe to open in a spreadsheet. A row
  of several turns is left out: its instruction and its output are no question and answer. There
  is no column for a system prompt.
Instruction and input become one message as a scorer reads it (`text/turns.py`): a note such as
`<noinput>` in the place of an input is not trained on. Rows without an answer are no training rows:
they are in the Parquet files only. What an export leaves out is counted.
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from gristmill.formats import trainers
from gristmill.formats.lines import WRITERS, is_more, misfit, pair, ranking, talk
from gristmill.storage.ids import digest
from gristmill.storage.rows import Row
from gristmill.storage.shards import replacing, write_parquet, write_text
from gristmill.text.chat import one_by_one
from gristmill.text.turns import question

log = logging.getLogger(__name__)

Format = Literal[
    "messages", "alpaca", "sharegpt", "prompt-completion", "preference", "ranking", "csv"
]
TEXTS = ("instruction", "input", "output", "messages")
READ = (*TEXTS, "tools", "prompt", "chosen", "rejected", "meta")
FAMILY = ("id", "root", "parents", "instruction", "input")
"""Columns that say which rows belong on one side."""
NOTES = "exports/notes.json"
TOLD = (NOTES, "croissant.json")
"""What is told of the files of one run: it goes with them."""
PAIRS = {"preference": pair, "ranking": ranking}
FORMULA = ("=", "+", "-", "@", "\t", "\r")
SEPARATORS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
"""Escaped, because many readers take them for ends of lines."""


@dataclass
class Note:
    """What one file of an export does not have, although the dataset does."""

    left_out: Counter[str] = field(default_factory=Counter)
    """Rows by reason."""
    cut: int = 0
    """Rows without the turns that came after their last answer."""
    without_system: int = 0
    """Rows without their system prompt."""


class Export(BaseModel):
    """What is written at the end: the recipe's `export`. Changes no row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    formats: list[Format] = []
    calls: Literal["together", "one_by_one"] = "together"
    """Several calls of one turn: as they were made, or each in a turn with its answer behind it.
    Templates such as Llama 3's take no more than one, GPT-OSS's leaves out the others."""
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
    notes: dict[str, Note] = {}
    said = (talk(row)[0] for row in _rows(table, TEXTS)) if export.formats else ()
    is_plain = not any(turns and is_more(turns) for turns in said)
    for form in export.formats:
        for split, part in parts.items():
            name = f"exports/{form}/{split}.{'csv' if form == 'csv' else 'jsonl'}"
            note = notes[name] = Note()
            lines = (
                _csv_lines(part, note)
                if form == "csv"
                else _json_lines(form, part, note, is_plain, export.calls == "one_by_one")
            )
            if n := _write(folder / name, lines):
                files[name] = n
            log.info("export=%s rows=%d left_out=%d", name, n, note.left_out.total())
    _clear(folder, files)
    trainers.write(folder, files)
    if told := {name: vars(note) for name, note in notes.items() if any(vars(note).values())}:
        write_text(folder / NOTES, json.dumps(told, indent=2))
    return files


def held_out(table: pa.Table, rate: float) -> list[bool]:
    """Say for every row whether it is validation: by a hash of its family, never by its place."""
    held = [is_held(family, rate) for family in families(table)] if rate else []
    return [False] * len(table) if all(held) else held


def is_held(family: str, rate: float) -> bool:
    """Say whether the hash of a family is below the share."""
    return int(digest("validation", family)[:12], 16) < rate * 16**12


def families(table: pa.Table) -> list[str]:
    """Name every row's family: rows that share a root, a parent, or exactly the same question."""
    links: dict[str, str] = {}

    def find(key: str) -> str:
        while (up := links.setdefault(key, key)) != key:
            links[key] = key = links[up]
        return key

    roots = []
    for row in table.select([n for n in FAMILY if n in table.column_names]).to_pylist():
        text = question(row.get("instruction"), row.get("input")).strip()
        keys = [row["id"], *(row["parents"] or []), *([digest(text)] if text else [])]
        roots.append(row["root"])
        for key in keys:
            # The smaller name wins, so a family's is the same whatever the order of its rows.
            one, two = sorted((find(row["root"]), find(key)))
            links[two] = one
    return [find(root) for root in roots]


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


def _json_lines(
    form: str, table: pa.Table, note: Note, is_plain: bool, is_split: bool
) -> Iterator[str]:
    for row in _rows(table, [name for name in table.column_names if name in READ]):
        turns, n_after = ([], 0) if form in PAIRS else talk(row)
        if is_split:
            turns, row["messages"] = one_by_one(turns), one_by_one(row.get("messages") or [])
        if form in PAIRS:
            line = PAIRS[form](row)
        else:
            line = WRITERS[form](row, turns, is_plain) if turns else "no answer"
        if isinstance(line, str):
            note.left_out[line] += 1
            continue
        note.cut += n_after > 0
        text = json.dumps(line, ensure_ascii=False, allow_nan=False)
        yield text.translate(SEPARATORS) + "\n"


def _csv_lines(table: pa.Table, note: Note) -> Iterator[str]:
    """Give a line per row, the first one with the names of the columns above it."""
    flat = [
        f.name for f in table.schema if pa.types.is_string(f.type) or pa.types.is_primitive(f.type)
    ]
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writerow(map(harmless, flat))
    for row in _rows(table, dict.fromkeys([*flat, *TEXTS])):
        turns, n_after = talk(row)
        turns = turns or row["messages"] or []
        said = [turn for turn in turns if turn["role"] != "system"]
        if len(said) > 2 or (len(said) == 2 and is_more(said)):
            note.left_out["several turns" if len(said) > 2 else misfit(said)] += 1
            continue
        note.cut += n_after > 0
        note.without_system += len(said) < len(turns)
        writer.writerow([harmless(row[name]) for name in flat])
        yield out.getvalue()
        out.seek(0)
        out.truncate()


def harmless(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _clear(folder: Path, files: Mapping[str, int]) -> None:
    """Remove what an earlier run with other formats or another split left."""
    for path in [*folder.glob("data/*"), *folder.glob("exports/*/*"), *map(folder.joinpath, TOLD)]:
        if str(path.relative_to(folder)) not in files:
            path.unlink(missing_ok=True)
