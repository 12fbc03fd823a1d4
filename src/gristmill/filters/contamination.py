"""Drop rows that repeat a benchmark: what is trained on cannot be measured with.

Source: runs of 13 words, Brown et al., "Language Models are Few-Shot Learners", arXiv:2005.14165,
appendix C; runs of 50 letters and digits, OpenAI, arXiv:2303.08774, appendix C; whole solutions,
Wei et al., "SelfCodeAlign", arXiv:2410.24198.
Differs from the papers: a solution counts in any layout, with any comments and with its names
changed, but only from 25 tokens on; a question of fewer than `ngram` words counts as a whole.
What is said in other words is for `filters.semantic_contamination`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.formats.protecting import WRITTEN, Protecting, protected
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.overlaps import CONTAMINATED, METHODS, NGRAM, Method, Overlaps
from gristmill.text.turns import Texts, said


class Found(TypedDict, total=False):
    """What it writes on request."""

    flags: list[str]
    hit: str


class Contamination(Protecting, RowStage):
    """Drop a row, or flag it, at the first thing that it shares with a row of a benchmark.

    The detail names benchmark, method, row and the shared run. The registry is made by
    `build-dataset benchmarks add`; on a cluster every machine must see it and its files. The
    process keeps an index of 130 bytes per word of the benchmarks, with `chars` 90 per letter.
    """

    codes: ClassVar[frozenset[str]] = frozenset({"contaminated"})

    methods: tuple[Method, ...] = Field(default=METHODS, min_length=1)
    """`words` looks for runs of `ngram` words, `chars` for 50 letters and digits whatever stands
    between them, `solutions` for whole programs."""
    ngram: int = Field(default=NGRAM, ge=5, le=50)
    """Words of a run. Of 29,361 public rows, 10 share one of 13 with five benchmarks, 100 one of 10
    and 451 one of 8: mostly phrases that everybody uses."""

    column: str | None = Field(default=None, pattern=r"^\w+(\.\w+)*$")
    """The one text that is looked into, such as the `code` of a seed; None: all that a row says."""

    def reads(self) -> frozenset[str]:
        """One column on request, else those of the signature."""
        return frozenset({self.column, "flags"}) if self.column else super().reads()

    def optional(self) -> frozenset[str]:
        """A row need not have flags."""
        return frozenset({"flags"}) if self.column else super().optional()

    def writes(self) -> dict[str, pa.DataType]:
        """Return its columns: none where it drops."""
        return WRITTEN if self.action == "flag" else {}

    def __call__(self, row: Texts) -> Found | Drop:
        """Look into one text after the other."""
        index = _index(self._file, self.pins, self.methods, self.ngram)
        given: Mapping[str, object] = row
        texts = [str(given[self.column] or "")] if self.column else said(row)
        hit = next(filter(None, map(index.find, texts)), None)
        if hit is None:
            return {}
        if self.action == "drop":
            return Drop("contaminated", str(hit))
        return {"flags": [*(row.get("flags") or []), CONTAMINATED], "hit": str(hit)}


@lru_cache(maxsize=4)
def _index(
    registry: str, pins: tuple[str, ...], methods: tuple[Method, ...], ngram: int
) -> Overlaps:
    """Read the benchmarks once per process."""
    return Overlaps(protected(registry, pins), methods, ngram)
