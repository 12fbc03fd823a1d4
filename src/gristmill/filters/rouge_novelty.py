"""Drop instructions that are not new: too many of their words stand in an earlier one, in order.

Source: Wang et al., "Self-Instruct", arXiv:2212.10560, section 2.3: an instruction joins the pool
when its ROUGE-L with every one in it is below 0.7.
Differs from the paper: the pool is the table behind what earlier rounds accepted; only what shares
rare words is compared, with the same result.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.formats.others import Against
from gristmill.pipelines.stage import TableStage, decisions
from gristmill.text.like_rouge import LikeRouge
from gristmill.text.rouge import f_measure
from gristmill.text.turns import parts
from gristmill.text.words import first_words

READ = 10_000
"""Words of a text that are compared: the subsequence of two books takes minutes."""


class Neighbour(TypedDict):
    """One row that was there before."""

    id: str
    rouge: float
    """ROUGE-L, 0..1."""


class Nearest(TypedDict):
    """What it writes."""

    rouge: float | None
    """0..1: ROUGE-L with the nearest row that stays, where that is the threshold or more."""
    most_similar: list[Neighbour] | None
    """The nearest rows that were there before, best first; None when not asked for."""
    avg_similarity: float | None
    """0..1: mean ROUGE-L with all of them; None when there are none or it was not asked for."""


class RougeNovelty(Against, TableStage):
    """Keep the first of like rows in canonical order; the detail names it and their ROUGE-L.

    Of a longer text the first 10,000 words count. A text without words is new. Scripts without
    spaces have few words: see `near_duplicates`.
    """

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = frozenset({"not_novel"})
    pools: ClassVar[bool] = True

    field: Literal["instruction", "output"] = "instruction"
    """What is compared; of a conversation, all that the user or the assistant said."""
    threshold: float = Field(default=0.7, gt=0, le=1)
    """ROUGE-L (0..1) from which on a text is not new; the paper's."""
    neighbours: int = Field(default=0, ge=0)
    """Rows in `most_similar`, 10 in the paper. Above 0 every row is compared with all before it."""

    def reads(self) -> frozenset[str]:
        """The column is a parameter."""
        return frozenset({self.field, "messages"})

    def optional(self) -> frozenset[str]:
        """A table need not have conversations."""
        return frozenset({"messages"})

    def judges(self) -> frozenset[str]:
        """A row without the text stays."""
        return frozenset()

    def decide(self, table: pa.Table, pool: pa.Table | None = None) -> Annotated[pa.Table, Nearest]:
        """(n, 2) -> (n, 7); O(pairs that share one of their rarest words). `pool` was before."""
        before, texts = self._others() + self._texts(pool), self._texts(table)
        known = LikeRouge(self.threshold, [said for _, said in before + texts])
        for place, (_, said) in enumerate(before):
            known.add(said, place)
        there, found, near = list(before), [], []
        for row_id, said in texts:
            found.append(known.nearest(said))
            near.append(self._near(said, there))
            if not found[-1][0]:
                known.add(said, len(there))
                there.append((row_id, said))
        keep = [not rate for rate, _ in found]
        detail = [f"ROUGE-L {rate:.2f} with {there[place][0]}" for rate, place in found]
        rouge = pa.array([rate or None for rate, _ in found], pa.float64())
        columns = {
            name: pa.array([one[i] for one in near], self.writes()[name])
            for i, name in enumerate(("most_similar", "avg_similarity"))
        }
        return decisions(table, keep, "not_novel", detail, rouge=rouge, **columns)

    def _texts(self, table: pa.Table | None) -> list[tuple[str, list[str]]]:
        """Return id and words of every row."""
        names = ["id", self.field, "messages"]
        rows = [] if table is None else table.select(names).to_pylist()
        return [(row["id"], first_words("\n".join(parts(row, self.field)), READ)) for row in rows]

    def _others(self) -> list[tuple[str, list[str]]]:
        """Return the same of other datasets."""
        known = self.known([self.field])
        texts = ("\n".join(parts(row, self.field)) for row in known.rows)
        return [
            (name, first_words(text, READ)) for name, text in zip(known.names, texts, strict=True)
        ]

    def _near(
        self, said: list[str], there: list[tuple[str, list[str]]]
    ) -> tuple[list[Neighbour] | None, float | None]:
        """Return the most similar of the rows before, and the mean over all of them."""
        if not self.neighbours:
            return None, None
        rates = [f_measure(said, other) for _, other in there]
        best = sorted(range(len(rates)), key=lambda i: (-rates[i], i))[: self.neighbours]
        mean = sum(rates) / len(rates) if rates else None
        return [{"id": there[i][0], "rouge": rates[i]} for i in best], mean
