"""Drop rows that say the same as an earlier one, case, spacing and end punctuation aside.

Source: the step before near-duplicate removal in Lee et al., "Deduplicating Training Data Makes
Language Models Better", arXiv:2107.06499.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.formats.others import Against
from gristmill.pipelines.stage import TableStage, decisions
from gristmill.storage.ids import digest
from gristmill.storage.rows import Row
from gristmill.text.shingles import same
from gristmill.text.turns import parts


class Nothing(TypedDict):
    """It writes no columns."""


class ExactDuplicates(Against, TableStage):
    """Keep the first row of each text in canonical order; the detail names it.

    Of a conversation with several questions, all that was said counts, not its first turn alone.
    """

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset({"exact_duplicate"})

    fields: tuple[Literal["instruction", "input", "output"], ...] = Field(
        default=("instruction", "input"), min_length=1
    )
    """What must be the same: all of these. A row without any of them is no duplicate."""

    def reads(self) -> frozenset[str]:
        """The columns are a parameter."""
        return frozenset({*self.fields, "messages"})

    def optional(self) -> frozenset[str]:
        """A table need not have them all."""
        return frozenset({*self.fields[1:], "messages"})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Nothing]:
        """O(n): one short name per row is remembered."""
        known, first = self.known(self.fields[:1]), dict[str, str]()
        for row, name in zip(known.rows, known.names, strict=True):
            first.setdefault(self._text(row) or name, name)
        earlier = list[str | None]()
        for batch in table.to_batches(max_chunksize=1024):
            for row in batch.to_pylist():
                if text := self._text(row):
                    earlier.append(first.get(text))
                    first.setdefault(text, row["id"])
                else:
                    earlier.append(None)
        keep = [before is None for before in earlier]
        return decisions(table, keep, "exact_duplicate", [f"of {before}" for before in earlier])

    def _text(self, row: Row) -> str | None:
        said = [[same(text) for text in parts(row, field)] for field in self.fields]
        return digest(said) if any(said) else None
