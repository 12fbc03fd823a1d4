"""Find text that would give orders to the model that reads it, such as a page that was retrieved.

Sources: Greshake et al., "Not what you've signed up for", arXiv:2302.12173; Liu et al., HouYi,
arXiv:2306.05499. Put it before the first stage that shows such text to a model.
Differs from the papers: rules, as precise as they can be. What is said in other words, or split
over harmless turns, is not found: that takes a judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pyarrow as pa

from gristmill.formats.annotations import arrow
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.storage.rows import CONTENT
from gristmill.text.injections import Threat, injections, may_have_injection
from gristmill.text.redaction import FIELDS, Action, masked_row, texts_of_json
from gristmill.text.turns import Texts

SHOWN = 80
"""Characters of the evidence."""
ANSWERS = ("output", "chosen", "rejected")


class Injection(RowStage):
    """Drop, mask or flag a row with an injection; the detail has its kind, place and words."""

    version: ClassVar[int] = 3
    codes: ClassVar[frozenset[str]] = frozenset({"injection"})

    action: Action = "drop"
    """`flag` keeps the row, with the flag `injection` and the first one's kind as `threat_label`;
    `mask` does so too, with `[OVERRIDE]` and the like in the place of each."""
    answers: bool = False
    """Whether answers are looked at too: they are where a model has followed an injection, and
    where one is explained."""

    def writes(self) -> dict[str, pa.DataType]:
        """Return its columns: none where it drops, the texts where it masks."""
        if self.action == "drop":
            return {}
        texts = (*FIELDS, "messages") if self.action == "mask" else ()
        columns = {name: CONTENT[name] for name in (*texts, "flags")}
        return {**columns, "threat_label": arrow(Threat)}

    def __call__(self, row: Texts) -> dict[str, Any] | Drop:
        """Look at everything that a model would read."""
        texts = list(self._texts(row))
        if not may_have_injection(text for _, text in texts):
            return {}
        for name, text in texts:
            if span := next(injections(text), None):
                if self.action == "drop":
                    words = text[span.start : span.end][:SHOWN]
                    return Drop("injection", f"{span.kind} in {name}: {words}")
                flags = [*(row.get("flags") or []), "injection"]
                masked = self._masked(row) if self.action == "mask" else {}
                return {**masked, "flags": flags, "threat_label": span.kind}
        return {}

    def _texts(self, row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        names = ("instruction", "input", "prompt", *(ANSWERS if self.answers else ()))
        yield from ((name, row.get(name) or "") for name in names)
        for i, turn in enumerate(row.get("messages") or ()):
            if self.answers or turn["role"] != "assistant":
                yield f"messages.{i}", turn["content"] or ""
                beside = texts_of_json(turn.get("extra") or "null")
                yield from ((f"messages.{i}", text) for text in beside)

    def _masked(self, row: Mapping[str, Any]) -> dict[str, Any]:
        new = masked_row(row, injections)
        if self.answers:
            return new
        pairs = zip(row.get("messages") or (), new["messages"] or (), strict=True)
        turns = [old if old["role"] == "assistant" else other for old, other in pairs]
        return {**new, **{name: row.get(name) for name in ANSWERS}, "messages": turns or None}
