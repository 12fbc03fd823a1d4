"""Rows as Argilla's records, and what people answered there as marks. Argilla is not needed.

Source: the JSON that Argilla 2 reads by `dataset.records.from_json` and writes by `to_json`: a list
of records with id, fields, metadata, suggestions, responses and vectors.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from gristmill.errors import InputError
from gristmill.formats import marks
from gristmill.formats.marks import Says
from gristmill.publishing import facts
from gristmill.publishing.review import NOTE_CHARS, Review
from gristmill.publishing.said import own_texts, turns_of
from gristmill.storage.rows import Row
from gristmill.storage.shards import replacing

MARK, NOTE, TEXT = "mark", "note", "text"
"""The questions that an Argilla dataset needs: a label of `keep` and `drop`, and a text. `text` is
the metadata that says which texts were answered about."""
AGENT = "gristmill review"


def write(review: Review, path: Path) -> int:
    """Write every row that ended, those that nobody should see aside; return how many."""
    n = 0
    with replacing(path) as out:
        for rows in review.batches():
            for row in rows:
                said = json.dumps(_record(review, row), ensure_ascii=False, allow_nan=False)
                out.write((",\n" if n else "[\n").encode() + said.encode(errors="replace"))
                n += 1
        out.write(b"\n]\n" if n else b"[]\n")
    return n


def _record(review: Review, row: Row) -> dict[str, Any]:
    """Return one record; a mark is a suggestion there, for answers need users of that server.

    A conversation is a field of chat, so that all records have the same fields.
    """
    mark, turns = review.marks.get(row["id"]), turns_of(row)
    said = {"messages": [{"role": role, "content": text} for role, text in turns]} if turns else {}
    told = {"ended": row["end"], "stage": row["end_at"], "code": row["end_code"]}
    metadata = {**told, **{_name(name): value for name, value in facts.example(row).scores}}
    suggested = {MARK: mark.says, NOTE: mark.note} if mark else {}
    return {
        "id": row["id"],
        "fields": {**said, **{_name(name): text for name, text in own_texts(row)}},
        "metadata": {
            **{name: value for name, value in metadata.items() if value is not None},
            TEXT: marks.text_of(row),
        },
        "suggestions": {
            question: {"value": value, "score": None, "agent": AGENT}
            for question, value in suggested.items()
            if value
        },
        "responses": {},
        "vectors": {},
    }


def _name(text: str) -> str:
    """Return a name as Argilla allows it: small letters, digits, _ and -."""
    return re.sub("[^a-z0-9_-]", "_", text.lower())


def read(review: Review, path: Path) -> Counter[str]:
    """Mark rows as the people answered; return how many, and how many not for which reason.

    Raises:
        InputError: The file is no list of records.
    """
    counts: Counter[str] = Counter(marked=0)
    said: dict[str, tuple[Says | None, str]] = {}
    records = {str(record["id"]): record for record in _records(path)}
    there = review.rows_of(records)
    for row_id, record in records.items():
        answers = {str(answer["value"]) for answer in _answers(record, MARK)}
        row = there.get(row_id)
        if not answers:
            counts["not answered"] += 1
        elif row is None:
            counts["not in this run"] += 1
        elif (record.get("metadata") or {}).get(TEXT) != marks.text_of(row):
            counts["changed since"] += 1
        elif len(answers) > 1 or not answers <= {*get_args(Says)}:
            counts["answers differ"] += 1
        elif answers == {"keep"} and review.no_keep(row):
            counts["cannot be kept"] += 1
        else:
            notes = [str(answer["value"]) for answer in _answers(record, NOTE)]
            said[row_id] = (
                "keep" if answers == {"keep"} else "drop",
                "; ".join(notes)[:NOTE_CHARS],
            )
            counts["marked"] += 1
    review.mark(said)
    return counts


def _records(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as JSON: {error}") from error
    for i, record in enumerate(records if isinstance(records, list) else [records]):
        if not isinstance(record, dict) or not isinstance(record.get("id"), str):
            raise InputError(
                f"{path}: record {i} has no id; expected the list of records that "
                "`dataset.records.to_json` writes"
            )
        yield record


def _answers(record: Mapping[str, Any], question: str) -> list[dict[str, Any]]:
    """Return what people answered to a question of a record."""
    found = (record.get("responses") or {}).get(question) or []
    return [answer for answer in found if isinstance(answer, dict) and answer.get("value")]
