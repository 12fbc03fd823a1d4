"""A run's result as a notebook shows it: what every stage let through, and the first rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from gristmill.publishing.report import WORDS, environment
from gristmill.publishing.said import texts

ROWS = 3
"""Rows that are shown; the others are in the dataset and in the report."""


def shown(path: Path, lines: Sequence[Mapping[str, Any]], stop: str, dataset: pa.Table) -> str:
    """Return HTML without a script, a style sheet or a request; text of rows is escaped."""
    places = {"dataset": path / "dataset", "report": path / "report.html"}
    return (
        environment()
        .get_template("result.html.j2")
        .render(
            name=path.name,
            n=dataset.num_rows,
            stop=WORDS[stop],
            lines=lines,
            rows=[list(texts(row)) for row in dataset.slice(0, ROWS).to_pylist()],
            places={name: place for name, place in places.items() if place.exists()},
        )
    )
