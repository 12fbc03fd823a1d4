"""Find personal data by rule: addresses of mail and machines, phones, cards, accounts.

Source: our own; checksums as in ISO/IEC 7812-1 (cards) and ISO 13616 (IBAN). Names and street
addresses are not found, nor are phones outside North America that have neither a country's code
nor a word such as `tel` in front.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from gristmill.filters.secrets import Secrets
from gristmill.text.personal import KINDS, PERSONAL, Kind, personal
from gristmill.text.redaction import Span


class PersonalData(Secrets):
    """Drop, mask or flag a row with personal data in any of its texts, as with secrets.

    A masked row has `[EMAIL]` and the like in its texts.
    """

    version: ClassVar[int] = 4
    codes: ClassVar[frozenset[str]] = frozenset({"personal_data"})

    kinds: tuple[Kind, ...] = Field(default=KINDS, min_length=1)
    """What is looked for. Addresses that no machine can have from outside, and domains that are
    reserved for examples, are nobody's."""

    def may_have(self, text: str) -> bool:
        """Say whether it is worth to look, at a tenth of the time."""
        return PERSONAL.may_be_in(text)

    def spans(self, text: str) -> list[Span]:
        """Find personal data of those kinds."""
        return list(personal(text, frozenset(self.kinds)))
