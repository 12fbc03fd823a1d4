"""Find text that would give orders to the model that reads it, such as a page that was retrieved.

Sources: Greshake et al., "Not what you've signed up for", arXiv:2302.12173; Liu et al., HouYi,
arXiv:2306.05499. Put it before the first stage that shows such text to a model.
Differs from the papers: rules, as precise as they can be. What is said in other words, or split
over harmless turns, is not found: that takes a judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, NotRequired, TypedDict

import pyarrow as pa

from gristmill.formats.annotations import arrow
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.storage.rows import CONTENT
from gristmill.text.injections import Threat, injection, may_have_injection
from gristmill.text.turns import Turn

SHOWN = 80
"""Characters of the evidence."""


class Texts(TypedDict):
    """What it reads."""

    instruction: NotRequired[str | None]
    input: NotRequired[str | None]
    output: NotRequired[str | None]
    messages: NotRequired[list[Turn] | None]
    flags: NotRequired[list[str] | None]


class Found(TypedDict, total=False):
    """What it writes on request."""

    flags: list[str]
    threat_label: Threat


class Injection(RowStage):
    """Drop or flag a row at the first injection; the detail has its kind, place and words."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset({"injection"})

    action: Literal["drop", "flag"] = "drop"
    """`flag` keeps the row, with the flag `injection` and its kind as `threat_label`."""
    answers: bool = False
    """Whether answers are looked at too: they are where a model has followed an injection, and
    where one is explained."""

    def writes(self) -> dict[str, pa.DataType]:
        """Return its columns: none where it drops."""
        wanted = {"flags": CONTENT["flags"], "threat_label": arrow(Threat)}
        return wanted if self.action == "flag" else {}

    def __call__(self, row: Texts) -> Found | Drop:
        """Look at everything that a model would read."""
        texts = dict(self._texts(row))
        if not may_have_injection(texts.values()):
            return {}
        for name, text in texts.items():
            if found := injection(text):
                if self.action == "drop":
                    return Drop("injection", f"{found.threat} in {name}: {found.words[:SHOWN]}")
                flags = [*(row.get("flags") or []), "injection"]
                return {"flags": flags, "threat_label": found.threat}
        return {}

    def _texts(self, row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        names = ("instruction", "input", "output") if self.answers else ("instruction", "input")
        yield from ((name, row.get(name) or "") for name in names)
        for i, turn in enumerate(row.get("messages") or ()):
            if self.answers or turn["role"] != "assistant":
                yield f"messages.{i}", turn["content"] or ""
