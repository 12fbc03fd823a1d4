"""Find secrets by rule: keys and tokens that their makers' forms give away, and passwords.

Source: our own, from the forms that the makers document. A value assigned to a `password` or
`token` counts when it is as random as a key, in quotes or on a line of settings; there a password
need only have a letter and a digit. What documentation writes in its place does not count.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow as pa

from gristmill.formats.annotations import arrow
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.storage.rows import CONTENT
from gristmill.text.keys import KEYS, keys
from gristmill.text.redaction import FIELDS, Action, Span, counted, masked_row, spans_of, told
from gristmill.text.turns import Texts


class Secrets(RowStage):
    """Drop, mask or flag a row with a secret in any of its texts.

    Columns of your own are not looked at. Evidence names kinds and places, never what stands
    there. A masked row has `[AWS_KEY]` and the like in its texts, and nothing that was found out
    about it before: mask first.
    """

    version: ClassVar[int] = 3
    codes: ClassVar[frozenset[str]] = frozenset({"secret"})

    action: Action = "drop"
    """`mask` and `flag` keep the row, with its code as a flag and the number of each kind in
    `found`."""

    def writes(self) -> dict[str, pa.DataType]:
        """Return its columns: none where it drops, the texts where it masks."""
        if self.action == "drop":
            return {}
        texts = (*FIELDS, "messages") if self.action == "mask" else ()
        return {**{name: CONTENT[name] for name in (*texts, "flags")}, "found": arrow(str)}

    def __call__(self, row: Texts) -> dict[str, Any] | Drop:
        """Look at every text, then drop, mask or flag."""
        (code,) = self.codes
        found = spans_of(row, self.spans, self.may_have)
        if not found:
            return {}
        if self.action == "drop":
            return Drop(code, told(found))
        columns = {"flags": [*(row.get("flags") or []), code], "found": counted(found)}
        return {**columns, **(masked_row(row, self.spans) if self.action == "mask" else {})}

    def may_have(self, text: str) -> bool:
        """Say whether it is worth to look, at a tenth of the time."""
        return KEYS.may_be_in(text)

    def spans(self, text: str) -> list[Span]:
        """Find secrets; what else nobody should see overrides this."""
        return list(keys(text))
