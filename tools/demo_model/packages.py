"""Families of tasks whose solutions call packages; the demo recipe's corpus has none of them."""

from __future__ import annotations

from pathlib import Path

import yaml

from demo_model.singles import Family, single

TABLES = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
FAMILIES: dict[str, Family] = {
    stem: single(stem, kind, task) for kind, table in TABLES.items() for stem, task in table.items()
}
