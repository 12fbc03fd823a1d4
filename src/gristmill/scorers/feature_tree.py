"""One tree of the features of all rows, and parts of it drawn for each row.

Source: Wang et al., "EpiCoder: Encompassing Diversity and Complexity in Code Generation",
arXiv:2501.04694, sections 3.1 to 3.3; `microsoft/EpiCoder` (MIT) for the rules.
Differs from the paper: nobody embeds and clusters the code before, `selectors.k_center` may; what
was grown is merged in order of the rows' ids.
"""

from __future__ import annotations

import json
from random import Random
from typing import Annotated, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.pipelines.stage import TableStage, decisions
from gristmill.text.feature_tree import Node, counted, draw, grow, tree_of


class Drawn(TypedDict):
    """What it writes."""

    subtrees: list[str]
    """Parts of the tree, as JSON."""
    n_features: int
    """Features of the whole tree: the same for every row."""


class FeatureTree(TableStage):
    """Count the features, merge what was grown of them, and draw. O(rows x tree)."""

    features: str = Field(default="meta.epi_coder_features.features", pattern=r"^\w+(\.\w+)*$")
    """Column with the features of a row, as JSON."""
    grown: str | None = Field(default=None, pattern=r"^\w+(\.\w+)*$")
    """Column of pairs of a drawn part and what it grew to, as JSON; None: nothing was grown."""
    breadths: tuple[int, ...] = Field(default=(2, 1, 2, 1), min_length=1)
    """Names of a part per level; EpiCoder grows parts of (2, 1, 2, 1), and makes tasks of
    (5, 2, 1, 1)."""
    temperature: float | None = Field(default=None, gt=0)
    """Of the frequencies; EpiCoder's tasks have 10. None: by how much stands below a name."""
    forced: tuple[str, ...] = ()
    """Names of the first level that are in every part, where the tree has them."""
    n: int = Field(default=1, ge=1)
    """Parts per row. Our choice."""
    depth: int = Field(default=3, ge=1)
    """Levels that are counted."""
    most: int = Field(default=50, ge=1)
    """Features kept below each, the frequent ones."""
    seed: int = 0
    """Of what is drawn."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return frozenset({self.features, *filter(None, [self.grown])})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Drawn]:
        """(n, 2) -> (n, 6); every row stays."""
        root = self.tree(table.sort_by("id"))
        drawn = [[self.part(root, f"{id_}/{i}") for i in range(self.n)]
                 for id_ in table["id"].to_pylist()]  # fmt: skip
        kinds = self.writes()
        return decisions(
            table,
            [True] * len(table),
            "",
            subtrees=pa.array(drawn, kinds["subtrees"]),
            n_features=pa.array([root.n_below] * len(table), kinds["n_features"]),
        )

    def tree(self, table: pa.Table) -> Node:
        """Return the tree of all rows."""
        found = [json.loads(text) for text in table[self.features].to_pylist() if text]
        root = counted((tree_of(f, empty=False) for f in found), self.depth, self.most)
        for pairs in table[self.grown].to_pylist() if self.grown else ():
            for before, after in map(json.loads, pairs or ()):
                grow(root, tree_of(before), tree_of(after))
        return root

    def part(self, root: Node, place: str) -> str:
        """Return one part of the tree."""
        rng = Random(f"{self.seed}/{place}")
        how = {"temperature": self.temperature, "forced": self.forced}
        return json.dumps(draw(root, self.breadths, rng, **how), ensure_ascii=False)  # type: ignore[arg-type]
