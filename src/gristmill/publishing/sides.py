"""The side of rows that join a dataset: no question is in its training and its validation."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gristmill.formats.exports import FAMILY, families, is_held
from gristmill.publishing.files import RunFiles


def sided(before: RunFiles, parts: Sequence[pa.Table]) -> dict[str, pa.Table]:
    """Return rows by split: on the side where a dataset has their family, else by its hash.

    Where the run that made them has them says nothing: it does not know the other rows.
    """
    if not parts:
        return {}
    new = pa.concat_tables(parts, promote_options="default")
    names = [name for name in FAMILY if name in before.data_schema.names]
    old = [pq.read_table(file, columns=names) for file in before.data]
    sides = [
        file.name.startswith("validation")
        for file, table in zip(before.data, old, strict=True)
        for _ in range(len(table))
    ]
    found = families(pa.concat_tables([*old, new.select(names)], promote_options="default"))
    known = dict(zip(found, sides, strict=False))
    rate = float((before.recipe.get("export") or {}).get("validation_rate", 0))
    held = pa.array([known.get(name, is_held(name, rate)) for name in found[len(sides) :]])
    return {"train": new.filter(pc.invert(held)), "validation": new.filter(held)}
