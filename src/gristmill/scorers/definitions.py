"""What other files of a repository define of the names that a file uses, the best fitting first.

Source: Sagtani et al., "Improving FIM Code Completions via Context & Curriculum Based Learning",
arXiv:2412.16589; nothing was released.
Differs from the paper: only Python, parsed by Python itself; definitions are functions and classes
of a module found by their name, and ordered by BM25.
"""

from __future__ import annotations

import json
from typing import Annotated, TypedDict

import pyarrow as pa
from pydantic import Field

from gristmill.pipelines.stage import TableStage, decisions
from gristmill.text.bm25 import bm25
from gristmill.text.fim_spans import definitions, identifiers


class Found(TypedDict):
    """What it writes."""

    found: list[str]
    """Definitions as JSON: `path`, `symbol`, `text`; the best fitting first."""


class Definitions(TableStage):
    """Look every name of a file up in all others. O(words of the table) per distinct file."""

    code: str = Field(default="code", pattern=r"^\w+(\.\w+)*$")
    """Column with a file's text."""
    k: int = Field(default=30, ge=1)
    """Definitions kept per file, at most. Our choice."""

    def reads(self) -> frozenset[str]:
        """The column of code is a parameter; `source` is the file's path."""
        return frozenset({self.code, "source"})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Found]:
        """(n, 3) -> (n, 5); every row stays, what is no Python defines nothing."""
        ordered = table.sort_by("id")
        files = zip(ordered["source"].to_pylist(), ordered[self.code].to_pylist(), strict=True)
        every = list(dict.fromkeys(
            (path or "", name, text)
            for path, code in files
            for name, text in definitions(code or "")
        ))  # fmt: skip
        by_name: dict[str, list[int]] = {}
        for i, (_, name, _) in enumerate(every):
            by_name.setdefault(name, []).append(i)
        words = [identifiers(text) for _, _, text in every]
        found = []
        for path, code in zip(*(table[c].to_pylist() for c in ("source", self.code)), strict=True):
            names = set(identifiers(code or ""))
            near = [i for name in sorted(names) for i in by_name.get(name, ())]
            near = [i for i in near if every[i][0] != (path or "")]
            scores = bm25(names, [words[i] for i in near])
            best = sorted(range(len(near)), key=lambda i: (-scores[i], every[near[i]]))[: self.k]
            keys = ("path", "symbol", "text")
            found.append([json.dumps(dict(zip(keys, every[near[i]], strict=True))) for i in best])
        return decisions(
            table, [True] * len(table), "", found=pa.array(found, self.writes()["found"])
        )
