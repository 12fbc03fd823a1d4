"""What a dataset is for the model that learns from it: its tokens, its chat template, packing.

Measured when somebody asks for a tokenizer, and kept beside the run for card and report. Packing is
best fit of the longest first, as TRL's `packing_strategy="bfd"`.
"""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from jinja2 import TemplateError

from gristmill.formats.lines import WRITERS, pair, talk
from gristmill.publishing.charts import leading, linked, number
from gristmill.publishing.escape import code_span, line
from gristmill.publishing.facts import Score
from gristmill.publishing.files import RunFiles
from gristmill.storage.ids import digest
from gristmill.storage.rows import Row
from gristmill.storage.shards import write_text
from gristmill.text.chat import one_by_one
from gristmill.text.plurals import counted

FILE = "trainee.json"
MOST_ROWS = 20_000
"""Rows that are looked at: those with the smallest ids, so by chance."""
SIZES = (512, 1024, 2048, 4096, 8192, 16384, 32768)
TEXTS = ("instruction", "input", "output", "messages", "prompt", "chosen", "rejected")
READ = ("id", *TEXTS, "tools", "meta")
SHOWN = 12
"""Rows of each kind that are kept by their ids; of lengths, from the shortest to the longest."""
Said = tuple[list[dict[str, Any]], Any]
"""The turns of a row with what they carry, and the functions that may be called; None without."""
NO_TEMPLATE = "no chat template: question and answer were joined"
REFUSED = "the template refuses the row"
LOST = "the template loses what a turn says"
SEVERAL = "the template takes one call a turn, see `calls: one_by_one` of `export`"
NONE = "the template writes 'None' for a turn without words"
OTHER_START = "the template writes the question another way once it is answered"
TWICE = "the tokenizer adds a first token that the template has written"
NO_END = "the text does not end with the tokenizer's end token"


def measure(run: RunFiles, tokenizer: Any, name: str) -> dict[str, Any]:
    """Render and count the rows of a run's dataset with a trainee's tokenizer; keep what it says.

    Of a pair the better answer counts. `found` counts the rows by what is wrong with them.
    """
    is_split = (run.recipe.get("export") or {}).get("calls") == "one_by_one"
    reader, found, n = _Reader(tokenizer), list[tuple[int, str]](), 0
    for row in _rows(run):
        if said := _said(row, is_split=is_split):
            n += 1
            if text := reader.text(said, row["id"], _said(row, is_split=True)):
                found.append((reader.count(text), row["id"]))
    lengths = [count for count, _ in found]
    limit = int(tokenizer.model_max_length)
    packed = list(packing(lengths, limit))
    cut = {at["size"]: [one for one in sorted(found) if one[0] > at["size"]] for at in packed}
    told = {
        "tokenizer": name,
        "of": _dataset(run),
        "rows": n,
        "max_length": limit if limit <= SIZES[-1] * 64 else None,
        "found": {what: len(ids) for what, ids in reader.found.items()},
        "lengths": sorted(lengths),
        "some": _by_id(sorted(found)),
        "cut": {str(size): _by_id(longer) for size, longer in cut.items()},
        "wrong": {what: sorted(ids)[:SHOWN] for what, ids in reader.found.items()},
        "packing": packed,
    }
    write_text(run.path / FILE, json.dumps(told))
    return told


def _by_id(found: Sequence[tuple[int, str]]) -> dict[str, int]:
    return {row_id: count for count, row_id in spread(found, SHOWN)}


def packing(lengths: Sequence[int], limit: int) -> Iterator[dict[str, Any]]:
    """Yield for every usual size what packing comes to, up to what holds the longest row.

    `packed` and `alone` are shares (0..1) of all places that hold a token.
    """
    for size in SIZES:
        if not lengths or size > limit:
            return
        held = [min(length, size) for length in lengths]
        n = packs(held, size)
        yield {
            "size": size,
            "cut": sum(length > size for length in lengths),
            "packs": n,
            "packed": sum(held) / (n * size),
            "alone": sum(held) / (len(held) * size),
        }
        if max(lengths) <= size:
            return


def packs(lengths: Sequence[int], size: int) -> int:
    """Return the packs of `size` that lengths take: the longest first, where it fits best."""
    room: list[int] = []
    for length in sorted(lengths, reverse=True):
        place = bisect_left(room, length)
        insort(room, (room.pop(place) if place < len(room) else size) - length)
    return len(room)


def spread(values: Sequence[Any], most: int) -> list[Any]:
    """Return up to `most` of some values, the first, the last, and as many between each two."""
    n = min(most, len(values))
    return [values[round(i * (len(values) - 1) / max(n - 1, 1))] for i in range(n)]


def kept(run: RunFiles) -> dict[str, Any] | None:
    """Return what was measured of this dataset; None where nobody has, or it changed since."""
    path = run.path / FILE
    told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return told if told.get("of") == _dataset(run) else None


def scores(run: RunFiles) -> list[Score]:
    """Return the lengths as a histogram shows them."""
    if not (told := kept(run)) or len(told["lengths"]) < 2:
        return []
    lengths = np.array(told["lengths"], np.float64)
    return [Score(named(told), lengths, lengths)]


def named(told: Mapping[str, Any]) -> str:
    """Return what the lengths are called."""
    return f"tokens by {told['tokenizer']}"


def section(run: RunFiles) -> Iterator[str]:
    """Yield the lines of the card."""
    if not (told := kept(run)):
        return
    yield (
        f"Measured with the tokenizer of {code_span(told['tokenizer'], 100)} on "
        f"{linked(counted(told['rows']))}.\n"
    )
    for what, n in told["found"].items():
        yield f"- {what[0].upper()}{what[1:]}: {linked(counted(n))}."
    if not told["found"]:
        yield "- The chat template renders every row whole, begins as the question does, and ends."
    if told["lengths"]:
        parts = np.quantile(told["lengths"], [0.5, 0.9, 0.99, 1])
        names = ("median", "90 %", "99 %", "longest")
        said = ", ".join(
            f"{name} {leading(round(n))}" for name, n in zip(names, parts, strict=True)
        )
        yield f"- Tokens of a row: {said}; {leading(sum(told['lengths']))} in all.\n"
        yield "| sequence length | rows cut | packs | filled when packed | filled by a row each |"
        yield "|--:|--:|--:|--:|--:|"
    for at in told["packing"]:
        counts = (leading(at[name]) for name in ("cut", "packs"))
        shares = (linked(f"{at[name]:.0%}") for name in ("packed", "alone"))
        yield f"| {' | '.join([number(at['size']), *counts, *shares])} |"


def _dataset(run: RunFiles) -> str:
    return digest(run.kept.to_list())


def _rows(run: RunFiles) -> Iterator[Row]:
    ids = set(run.kept.sort().head(MOST_ROWS))
    wanted = [name for name in run.data_schema.names if name in READ]
    for file in run.data:
        for part in pl.read_parquet(file, columns=wanted).iter_slices(1024):
            yield from (row for row in part.to_dicts() if row["id"] in ids)


def _said(row: Row, *, is_split: bool) -> Said | None:
    """Return what is trained on, as the export `messages` has it; of a pair the better answer."""
    turns, _ = talk(row)
    if turns:
        turns = one_by_one(turns) if is_split else turns
        line = WRITERS["messages"](row, turns, False)
        assert not isinstance(line, str)
        return line["messages"], line.get("tools") or None
    made = pair(row)
    return None if isinstance(made, str) else ([*made["prompt"], *made["chosen"]], None)


def _is_lost(turn: Mapping[str, Any], text: str) -> bool:
    """Say whether a text lacks what a turn says, or a function that it calls."""
    calls = turn.get("tool_calls") or ()
    said = [turn.get("content") or "", *(call["function"]["name"] for call in calls)]
    return any(isinstance(part, str) and part.strip() not in text for part in said)


def _worded(turn: dict[str, Any]) -> dict[str, Any]:
    return {**turn, "content": ""} if turn.get("content") is None else turn


class _Reader:
    """Renders rows as a trainee reads them, and counts what is wrong with them."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.found = defaultdict[str, list[str]](list)
        """Ids of rows, by what is wrong with them."""
        self.first = tokenizer.bos_token or ""
        adds_first = tokenizer("")["input_ids"][:1] == [tokenizer.bos_token_id]
        self.twice = self.first if self.first and adds_first else None

    def count(self, text: str) -> int:
        """Return the tokens; a template writes the special ones itself."""
        is_plain = not self.tokenizer.chat_template
        return len(self.tokenizer(text, add_special_tokens=is_plain)["input_ids"])

    def text(self, said: Said, row_id: str, split: Said | None = None) -> str | None:
        """Return what is read of a row; None where the template refuses it.

        Where it refuses or loses something, it is tried with the calls `split`, one in a turn.
        """
        end = self.tokenizer.eos_token or ""
        turns, tools = said
        if not self.tokenizer.chat_template:
            self.found[NO_TEMPLATE].append(row_id)
            parts = ((turn.get("content"), turn.get("tool_calls")) for turn in turns)
            return "\n\n".join(_plain(part) for both in parts for part in both if part) + end
        render = partial(self.tokenizer.apply_chat_template, tools=tools, tokenize=False)
        try:
            text: str = render(turns)
            start: str = render(turns[:-1], add_generation_prompt=True)
        except (TemplateError, TypeError, ValueError, LookupError) as error:
            why = SEVERAL if self._takes(split, said) else f"{REFUSED} ({line(str(error), 80)})"
            self.found[why].append(row_id)
            return None
        is_lost = self._loses(said, text)
        is_several = is_lost and self._takes(split, said)
        wrong = {
            SEVERAL: is_several,
            LOST: is_lost and not is_several,
            NONE: text.count("None") > render([*map(_worded, turns)]).count("None"),
            OTHER_START: not text.startswith(start),
            TWICE: self.twice is not None and text.startswith(self.twice),
            NO_END: not text.rstrip().endswith(end),
        }
        for what in (what for what, is_so in wrong.items() if is_so):
            self.found[what].append(row_id)
        return text

    def _loses(self, said: Said, text: str) -> bool:
        """Say whether a text lacks something: also calls without which it would be the same."""
        turns, tools = said
        first = [
            {**turn, "tool_calls": calls[:1]} if (calls := turn.get("tool_calls")) else turn
            for turn in turns
        ]
        lacks = first != turns and text == self.tokenizer.apply_chat_template(
            first, tools=tools, tokenize=False
        )
        return lacks or any(_is_lost(turn, text) for turn in turns)

    def _takes(self, split: Said | None, said: Said) -> bool:
        """Say whether a row is rendered whole once its calls are split."""
        if split is None or split == said:
            return False
        turns, tools = split
        try:
            text = self.tokenizer.apply_chat_template(turns, tools=tools, tokenize=False)
        except (TemplateError, TypeError, ValueError, LookupError):
            return False
        return not self._loses(split, text)


def _plain(part: Any) -> str:
    return part if isinstance(part, str) else json.dumps(part, ensure_ascii=False)
