"""Drop rows that repeat a benchmark: what is trained on cannot be measured with.

Source: runs of 13 words, Brown et al., "Language Models are Few-Shot Learners", arXiv:2005.14165,
appendix C; runs of 50 letters and digits, OpenAI, arXiv:2303.08774, appendix C; whole solutions,
Wei et al., "SelfCodeAlign", arXiv:2410.24198.
Differs from the papers: a solution counts in any layout, with any comments and with its names
changed, but only from 25 tokens on; a question of fewer than `ngram` words counts as a whole.
Paraphrases and translations are not found.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal, TypedDict

import pyarrow as pa
from pydantic import Field, PrivateAttr, model_validator

from gristmill.errors import InputError
from gristmill.formats.annotations import arrow
from gristmill.formats.benchmarks import rows_of, verified
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.storage.rows import CONTENT
from gristmill.text.overlaps import CONTAMINATED, MAX_RATE, METHODS, NGRAM, Method, Overlaps
from gristmill.text.turns import Texts, turns

PIN = 12
"""Letters of a digest that a pin has."""


class Found(TypedDict, total=False):
    """What it writes on request."""

    flags: list[str]
    hit: str


class Contamination(RowStage):
    """Drop a row, or flag it, at the first thing that it shares with a row of a benchmark.

    The detail names benchmark, method, row and the shared run. The registry is made by
    `build-dataset benchmarks add`; on a cluster every machine must see it and its files. The
    process keeps an index of 100 bytes per word of the benchmarks, with `chars` 90 per letter.
    """

    codes: ClassVar[frozenset[str]] = frozenset({"contaminated"})

    benchmarks: tuple[str, ...] = Field(min_length=1)
    """Names in the registry."""
    registry: str = ".gristmill/benchmarks.json"
    """Its file, from the current folder on: that of the default workspace."""
    methods: tuple[Method, ...] = Field(default=METHODS, min_length=1)
    """`words` looks for runs of `ngram` words, `chars` for 50 letters and digits whatever stands
    between them, `solutions` for whole programs."""
    ngram: int = Field(default=NGRAM, ge=5, le=50)
    """Words of a run. Of 29,361 public rows, 10 share one of 13 with five benchmarks, 100 one of 10
    and 451 one of 8: mostly phrases that everybody uses."""
    action: Literal["drop", "flag"] = "drop"
    """`flag` keeps the row, with the flag `contaminated` and the evidence in `hit`."""
    max_rate: float = Field(default=MAX_RATE, ge=0, le=1)
    """Share (0..1) of flagged rows in the dataset above which `publish` refuses it."""
    pins: tuple[str, ...] = ()
    """`NAME=DIGEST` per benchmark; filled in from the registry, an error where they differ."""

    @model_validator(mode="before")
    @classmethod
    def _pin(cls, given: dict[str, Any]) -> dict[str, Any]:
        names = given.get("benchmarks") or ()
        registry = Path(given.get("registry") or cls.model_fields["registry"].default)
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            return given
        pins = tuple(f"{name}={verified(registry, name)[0].sha256[:PIN]}" for name in names)
        if given.get("pins") and sorted(given["pins"]) != sorted(pins):
            raise InputError(f"{registry} pins {list(pins)}, expected {list(given['pins'])}")
        return {**given, "pins": pins}

    _file: str = PrivateAttr()
    """The registry from anywhere: workers of a cluster start in other folders."""

    def model_post_init(self, _: Any) -> None:
        """Remember the folder that the recipe was checked in."""
        self._file = str(Path(self.registry).absolute())

    def writes(self) -> dict[str, pa.DataType]:
        """Return its columns: none where it drops."""
        wanted = {"flags": CONTENT["flags"], "hit": arrow(str)}
        return wanted if self.action == "flag" else {}

    def __call__(self, row: Texts) -> Found | Drop:
        """Look into one text after the other."""
        index = _index(self._file, self.pins, self.methods, self.ngram)
        hit = next(filter(None, map(index.find, _texts(row))), None)
        if hit is None:
            return {}
        if self.action == "drop":
            return Drop("contaminated", str(hit))
        return {"flags": [*(row.get("flags") or []), CONTAMINATED], "hit": str(hit)}


def _texts(row: Mapping[str, Any]) -> list[str]:
    pair = [row.get(name) or "" for name in ("prompt", "chosen", "rejected")]
    return [*(turn["content"] for turn in turns(row)), *pair]


@lru_cache(maxsize=4)
def _index(
    registry: str, pins: tuple[str, ...], methods: tuple[Method, ...], ngram: int
) -> Overlaps:
    """Read the benchmarks once per process."""
    names = [pin.rpartition("=")[0] for pin in pins]
    rows = [row for name in names for row in rows_of(Path(registry), name)]
    return Overlaps(rows, methods, ngram)
