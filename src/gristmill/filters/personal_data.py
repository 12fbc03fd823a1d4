"""Find personal data by rule: addresses of mail and machines, phones, cards, accounts.

Source: our own; checksums as in ISO/IEC 7812-1 (cards) and ISO 13616 (IBAN). Names, street
addresses, and phones without a country's code outside North America are not found.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from gristmill.formats.annotations import arrow
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.storage.rows import CONTENT
from gristmill.text.personal import KINDS, Kind, personal
from gristmill.text.redaction import FIELDS, Action, Span, counted, masked_row, spans_of, told
from gristmill.text.turns import Texts


class PersonalData(RowStage):
    """Drop, mask or flag a row with personal data in any of its texts.

    Columns of your own are not looked at. Evidence names kinds and places, never what stands
    there. A masked row has `[EMAIL]` and the like in its texts, and nothing that was found out
    about it before: mask first.
    """

    codes: ClassVar[frozenset[str]] = frozenset({"personal_data"})

    action: Action = "drop"
    """`mask` and `flag` keep the row, with the flag `personal_data` and the number of each kind in
    `found`."""
    kinds: tuple[Kind, ...] = Field(default=KINDS, min_length=1)
    """What is looked for. Addresses that no machine can have from outside, and domains that are
    reserved for examples, are nobody's."""

    def writes(self) -> dict[str, pa.DataType]:
        """Return its columns: none where it drops, the texts where it masks."""
        if self.action == "drop":
            return {}
        texts = (*FIELDS, "messages") if self.action == "mask" else ()
        return {**{name: CONTENT[name] for name in (*texts, "flags")}, "found": arrow(str)}

    def __call__(self, row: Texts) -> dict[str, Any] | Drop:
        """Look at every text, then drop, mask or flag."""
        found = spans_of(row, self._find)
        if not found:
            return {}
        if self.action == "drop":
            return Drop("personal_data", told(found))
        columns = {"flags": [*(row.get("flags") or []), "personal_data"], "found": counted(found)}
        return {**columns, **(masked_row(row, self._find) if self.action == "mask" else {})}

    def _find(self, text: str) -> list[Span]:
        return list(personal(text, frozenset(self.kinds)))
