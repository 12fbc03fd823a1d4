"""Drop rows that drifted into another language: a French answer in a set of German rows.

Source: Lui and Baldwin, "langid.py: An Off-the-shelf Language Identification Tool" (2012), in the
version of Barbaresi (py3langid), which carries its model of 140 languages.
Differs from the tool: addresses and closed code blocks are not looked at, and what it is unsure
about stays, and so does a language in another script than its own (`hi-Latn`), of which the model
knows nothing. `filters.script` is cheaper where the languages have scripts of their own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar, TypedDict

from pydantic import Field, field_validator

from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.fences import fold_fences
from gristmill.text.languages import code_of
from gristmill.text.scripts import LINK, scripts_of
from gristmill.text.turns import Spoken, preferred

READ = 400
"""Characters of a turn that are looked at: more changes nothing and costs time."""


class Nothing(TypedDict):
    """It writes no columns."""


class Language(RowStage):
    """Look at every turn; the detail says which language it is in, and how surely.

    Of a pair the preferred answer is the last turn.
    """

    version: ClassVar[int] = 4
    codes: ClassVar[frozenset[str]] = frozenset({"wrong_language"})

    lang: str | None = None
    """Language of all rows: `en`, `eng` or `English`; None takes a row's own `lang`, and a row
    stays where that names no language the model knows: code may say `python`."""
    min_probability: float = Field(default=0.9, gt=0, le=1)
    """How sure (0..1) the tool must be of another language. Our choice: of 3,000 English rows one
    leaves that should not, a list of chemical elements."""
    min_letters: int = Field(default=40, ge=1)
    """Letters below which a turn says nothing about its language."""

    @field_validator("lang")
    @classmethod
    def _is_known(cls, lang: str | None) -> str | None:
        if lang is not None and not _wanted(lang):
            known = sorted({*_identifier().nb_classes} - {NO_LANGUAGE})
            raise ValueError(f"expected one of {known}")
        return lang

    def __call__(self, row: Spoken) -> Nothing | Drop:
        """Ask about one turn after the other."""
        told = self.lang or row.get("lang") or ""
        wanted = _wanted(told)
        if scripts_of(told) != scripts_of(wanted):
            return {}
        for turn in preferred(row) if wanted else ():
            text = LINK.sub(" ", fold_fences(turn["content"]))[:READ]
            if sum(map(str.isalpha, text)) < self.min_letters:
                continue
            found, probability = _identifier().classify(text)
            if found not in (wanted, NO_LANGUAGE) and probability >= self.min_probability:
                return Drop("wrong_language", f"{turn['role']}: {found} {probability:.2f}")
        return {}


NO_LANGUAGE = "zxx"


@lru_cache(maxsize=1024)
def _wanted(lang: str) -> str:
    """Return how the model calls a language; "" for one that it does not know."""
    code = code_of(lang) or lang.lower().replace("_", "-").partition("-")[0]
    return code if code and code in _identifier().nb_classes else ""


@lru_cache(maxsize=1)
def _identifier() -> Any:
    """Load the model once per process: 5 MB, about a second."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
