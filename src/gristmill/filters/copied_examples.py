"""Drop rows that copy a worked example: what the prompt showed came back as if it were new.

Source: Wang et al., "Self-Instruct", arXiv:2212.10560, section 2.3, for the ROUGE-L of 0.7; a
shared run of 13 words as in Brown et al., arXiv:2005.14165, appendix C.
Differs from the papers: the examples are a file, whatever prompt they stood in.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, TypedDict

from pydantic import Field, PrivateAttr, model_validator

from gristmill.formats.others import absolute, files, pinned
from gristmill.formats.parts import parse
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.like_rouge import LikeRouge
from gristmill.text.overlaps import Overlaps, Protected
from gristmill.text.turns import Spoken, preferred
from gristmill.text.words import words

MIN_WORDS = 5
"""Words of the shortest text of an example that can be copied rather than met by chance."""


class Nothing(TypedDict):
    """It writes no columns."""


class CopiedExamples(RowStage):
    """Compare every turn of a row with every text of the examples; the detail names its line."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset({"copied_example"})

    examples: str
    """Their file, such as `examples.jsonl`, or `shipped:` and the name of a file that comes along:
    every text in it counts, whatever its column."""
    max_rouge: float = Field(default=0.7, gt=0, le=1)
    """ROUGE-L (0..1) from which on a turn is a copy; the paper's."""
    ngram: int = Field(default=13, ge=5, le=50)
    """Words of a run that a turn must not share."""
    pin: str = ""
    """Of the examples; filled in from the file, an error where it differs."""

    @model_validator(mode="before")
    @classmethod
    def _pin(cls, given: dict[str, Any]) -> dict[str, Any]:
        return pinned(given, "examples")

    _file: str = PrivateAttr()
    """The file from anywhere: workers of a cluster start in other folders."""

    def model_post_init(self, _: Any) -> None:
        """Remember the folder that the recipe was checked in."""
        (self._file,) = absolute([self.examples])

    def __call__(self, row: Spoken) -> Nothing | Drop:
        """Look at one turn after the other."""
        overlaps, like = _index(self._file, self.pin, self.max_rouge, self.ngram)
        for turn in preferred(row):
            said = words(turn["content"])
            if hit := overlaps.find(turn["content"], said):
                return Drop("copied_example", f"{hit.row}: {hit.shared}")
            rate, place = like.nearest(said)
            if rate:
                example = overlaps.rows[place].id
                return Drop("copied_example", f"{example}: ROUGE-L {rate:.2f} of {turn['role']}")
        return {}


def _read(path: str) -> list[tuple[str, str]]:
    """Return name and text of everything long enough in a file, in order."""
    parts = [parse(name, data) for name, data in files(path, "examples")]
    return [
        (f"{part.name} line {line}", text)
        for part in parts
        for line, row in zip(part.lines, part.rows, strict=True)
        for text in _texts(row)
    ]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value] if len(words(value)) >= MIN_WORDS else []
    inner = value.values() if isinstance(value, Mapping) else value
    return [t for v in inner for t in _texts(v)] if isinstance(value, Mapping | list) else []


@lru_cache(maxsize=4)
def _index(path: str, pin: str, max_rouge: float, ngram: int) -> tuple[Overlaps, LikeRouge]:
    """Read the examples once per process."""
    known = _read(path)
    said = [words(text) for _, text in known]
    like = LikeRouge(max_rouge, said)
    for place, text in enumerate(said):
        like.add(text, place)
    rows = [Protected("examples", name, text) for name, text in known]
    return Overlaps(rows, ("words",), ngram), like
