"""What the selectors that compare rows by their vectors have in common."""

from __future__ import annotations

from pydantic import Field

from gristmill.pipelines.stage import TableStage


class VectorStage(TableStage):
    """Reads the vector that a scorer such as `embedding` gave to every row."""

    of: str = Field(default="embedding", pattern=r"^\w+$")
    """Label of the scorer whose `vector` to use."""

    @property
    def column(self) -> str:
        """The column of vectors."""
        return f"scores.{self.of}.vector"

    def reads(self) -> frozenset[str]:
        """The column depends on `of`."""
        return frozenset({self.column})
