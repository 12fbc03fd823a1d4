"""SteloCoder's curriculum: snippets before programs, the shortest first; the longest leave.

Source: Pan et al., "SteloCoder: a Decoder-Only LLM for Multi-Language to Python Code Translation",
arXiv:2310.15539, section 3; `sade-adrien/SteloCoder` (no licence file) for the percentile.
Differs from the paper: a pair is as long as the words and signs of both sides, of no tokenizer.
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.geometry.picks import by_id, picked
from gristmill.pipelines.stage import TableStage
from gristmill.text.fences import language_of

TOKEN = re.compile(r"\w+|[^\w\s]")


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is to be trained on first; None leaves."""
    length: int
    """Tokens of both sides."""
    stage: int | None
    """0 for the first level, and so on."""


class Stelo(TableStage):
    """Cut per language, then order by level and length; ties go to the lowest id. O(n log n)."""

    codes: ClassVar[frozenset[str]] = frozenset({"too_long", "no_level"})

    columns: tuple[str, str, str, str] = ("lang", "level", "code", "python")
    """Columns with the language, the level and both sides of a pair."""
    levels: tuple[str, ...] = Field(default=("snippet", "program"), min_length=1)
    """Levels in the order in which they are trained on; a row of another one leaves."""
    percentile: float = Field(default=0.95, gt=0, le=1)
    """Share of the pairs of a language, by any of its names, and a level that stay, by nearest
    rank; SteloCoder's."""

    def reads(self) -> frozenset[str]:
        """The columns are a parameter."""
        return frozenset(self.columns)

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 5) -> (n, 7)."""
        langs, levels, *sides = (table[name].to_pylist() for name in self.columns)
        texts = [f"{one or ''}\n{other or ''}" for one, other in zip(*sides, strict=True)]
        length = np.array([len(TOKEN.findall(text)) for text in texts], np.int64)
        places = {level: i for i, level in enumerate(self.levels)}
        stage = np.array([places.get(level, -1) for level in levels], np.int64)
        groups: dict[tuple[str, int], list[int]] = {}
        for i, lang in enumerate(langs):
            groups.setdefault((language_of(lang or ""), int(stage[i])), []).append(i)
        most = np.zeros(len(table), np.int64)
        for group in groups.values():
            most[group] = np.quantile(length[group], self.percentile, method="inverted_cdf")
        keep = (stage >= 0) & (length <= most)
        order = by_id(table)
        order = order[np.lexsort((length[order], stage[order]))]
        why = np.where(stage < 0, "no_level", "too_long")
        told = {
            "no_level": f"none of {', '.join(self.levels)}",
            "too_long": [f"{n} tokens, at most {m}" for n, m in zip(length, most, strict=True)],
        }
        columns = {"length": pa.array(length), "stage": pa.array(stage, mask=stage < 0)}
        return picked(table, order[keep[order]], why, told, **columns)
