"""Rare: patterns that few texts have, looked for in one pass before `re` looks closer.

`re` tries every alternative at every place of a text. The automaton that comes with pydantic reads
it once, in a tenth of the time, and says whether to look at all (ADR 0027).
"""

from __future__ import annotations

import re

from pydantic_core import SchemaValidator, core_schema

IS_TEXT = SchemaValidator(core_schema.str_schema(pattern="")).isinstance_python
"""False for what no file can have: half a surrogate pair."""


class Rare:
    """A pattern of `re`; what it finds is the same."""

    def __init__(self, pattern: str, gate: str | None = None, *, anywhere: bool = False) -> None:
        """Take a `gate` where an automaton does not have what the pattern does: it looks around.

        It finds something wherever the pattern does, in plain ASCII, with `anywhere` in any text:
        the two agree about neither letters nor their case outside of ASCII.
        """
        self.pattern = re.compile(pattern)
        # For `re` the four separators of ASCII are space as well.
        self.gate = (gate or pattern).replace(r"\s", r"[\s\x1c-\x1f]")
        self._may = SchemaValidator(core_schema.str_schema(pattern=self.gate)).isinstance_python
        self._anywhere = anywhere

    @classmethod
    def any_of(cls, *others: Rare) -> Rare:
        """Return what finds something wherever one of the others does, with one look."""
        return cls("|".join(f"(?:{one.gate})" for one in others))

    def may_be_in(self, text: str) -> bool:
        """Say whether it is worth to look."""
        if self._may(text):
            return True
        return not text.isascii() and not (self._anywhere and IS_TEXT(text))

    def search(self, text: str) -> re.Match[str] | None:
        """Return the first match."""
        return self.pattern.search(text) if self.may_be_in(text) else None
