"""Drop rows that drifted into another script: a Chinese answer in a set of English rows.

Source: our own; a rule in the place of a language model. It tells scripts apart, not languages
that share one. Addresses and closed code blocks are not looked at.
"""

from __future__ import annotations

from typing import ClassVar, TypedDict

from pydantic import Field, field_validator

from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.fences import fold_fences
from gristmill.text.scripts import LINK, OF_LANGUAGE, scripts, scripts_of
from gristmill.text.turns import Spoken, preferred


class Nothing(TypedDict):
    """It writes no columns."""


class Script(RowStage):
    """Look at every turn; the detail says which scripts are there, and how much of each.

    Of a pair the preferred answer is the last turn.
    """

    version: ClassVar[int] = 4
    codes: ClassVar[frozenset[str]] = frozenset({"wrong_script"})

    lang: str | None = None
    """Language of all rows: `en`, `eng` or `English`; None takes a row's own `lang`, which may name
    a script as `hi-Latn` does, and a row stays where that names no language we know."""
    min_rate: float = Field(default=0.7, ge=0, le=1)
    """Share (0..1) of a turn's letters that must be of the language's scripts. Our choice: names
    and terms stay below the rest."""
    min_letters: int = Field(default=20, ge=1)
    """Letters below which a turn says nothing about its language."""

    @field_validator("lang")
    @classmethod
    def _is_known(cls, lang: str | None) -> str | None:
        if lang is not None and not scripts_of(lang):
            raise ValueError(f"expected one of {sorted(OF_LANGUAGE)}")
        return lang

    def __call__(self, row: Spoken) -> Nothing | Drop:
        """Count the letters of one turn after the other."""
        wanted = scripts_of(self.lang or row.get("lang") or "")
        is_latin = "LATIN" in wanted
        for turn in preferred(row) if wanted else ():
            if is_latin and turn["content"].isascii():
                continue
            found = scripts(LINK.sub(" ", fold_fences(turn["content"])))
            total = found.total()
            rate = sum(found[script] for script in wanted) / (total or 1)
            if total >= self.min_letters and rate < self.min_rate:
                most = ", ".join(f"{name} {n / total:.0%}" for name, n in found.most_common(3))
                return Drop("wrong_script", f"{turn['role']}: {most}")
        return {}
