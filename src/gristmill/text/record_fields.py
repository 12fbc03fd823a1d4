"""Fields of a dataset's records: which can be used, what they say, which labels they have.

Source: Yin et al., "Dynosaur", arXiv:2305.14327, section 2; the published code.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any, Literal

from gristmill.text.words import words

TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
ID_LIKE = re.compile(r"(?i)(?:.*[_-])?(?:ids?|idx|index|uid|uuid|guid)")
"""Whole names or last parts: the letters alone stand in `video` and `idea` as well."""
MAX_LABELS, MAX_LABEL_CHARS = 10, 15
FEWEST = 20
"""Values from which on few different ones are labels. Our choice: two rows have few by nature."""


def records(given: Any) -> list[dict[str, Any]] | None:
    """Return a dataset's records, which may come as JSON text; None for anything else."""
    try:
        found = json.loads(given) if isinstance(given, str) else given
    except (ValueError, RecursionError):
        return None
    is_list = isinstance(found, list) and all(isinstance(one, dict) for one in found)
    return found if is_list else None


def usable(record: Mapping[str, Any], max_chars: int) -> dict[str, Any]:
    """Return the fields that a task may have: no ids, nothing empty or nested; texts are cut."""
    fields = {}
    for name, value in record.items():
        items = value if isinstance(value, list) else [value]
        if ID_LIKE.fullmatch(name) or any(isinstance(item, dict | list) for item in items):
            continue
        told = [_plain(item)[:max_chars] if isinstance(item, str) else item for item in items]
        if any(item not in (None, "") for item in told):
            fields[name] = told if isinstance(value, list) else told[0]
    return fields


def shown(name: str, value: Any) -> str:
    """Return a value as text; lists are joined, the choices of a question lettered."""
    if not isinstance(value, list):
        return str(value)
    if "choice" in name.lower():
        return " ".join(f"{a}) {one}" for a, one in zip(ascii_uppercase, value, strict=False))
    return ", ".join(str(one) for one in value)


def phrase(record: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the input of a row: the value of a single field, a phrase for each of several."""
    if len(names) == 1:
        return shown(names[0], record[names[0]])
    return " ".join(f"The {name} is {shown(name, record[name])}." for name in names)


def labels(values: Sequence[str]) -> Counter[str]:
    """Return the labels of an output with how often they occur; none where it is free text."""
    counts = Counter(values)
    return counts if len(values) >= FEWEST and len(counts) <= MAX_LABELS else Counter()


def label_flaw(
    instruction: str, values: Sequence[Any], counts: Counter[str]
) -> tuple[Literal["nested_output", "skewed_labels", "leaks_label"], str] | None:
    """Name what is wrong with an output, with the evidence, or None.

    One label is above 70 % of two, or 50 % of more; or the instruction has some of the labels, and
    not all, and so gives one away.
    """
    if any(isinstance(value, list) for value in values):
        return "nested_output", "a list"
    if counts and max(counts.values()) > (0.7 if len(counts) == 2 else 0.5) * counts.total():
        return "skewed_labels", str(dict(counts.most_common()))
    said = f" {' '.join(words(instruction))} "
    hits = [label for label in sorted(counts) if f" {' '.join(words(label))} " in said]
    return ("leaks_label", hits[0]) if 0 < len(hits) < len(counts) else None


def one_of(counts: Counter[str]) -> str:
    """Return the sentence that names the allowed answers; none where one of them is long."""
    if not counts or any(len(label) > MAX_LABEL_CHARS for label in counts):
        return ""
    return f" Reply with one of: {', '.join(sorted(counts))}."


def _plain(text: str) -> str:
    return TAG.sub("", text).strip()
