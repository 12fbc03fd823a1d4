"""One tree of all rows, and parts of it drawn per row."""

import json

import pyarrow as pa
import pytest

from gristmill.scorers.feature_tree import FeatureTree

FEATURES = [
    {"computation operation": ["sum", "mean", "max"], "logging": []},
    {"computation operation": ["sum"], "workflow": ["read", "write", "check"]},
    {"workflow": ["read"], "algorithm": ["sort", "search", "hash"]},
]
PAIR = json.dumps([{"workflow": {"read": {}}}, {"workflow": {"read": {}, "stream": {}}}])
COLUMN = "meta.epi_coder_features.features"


def table(grown=(None, None, None), order=(0, 1, 2)) -> pa.Table:
    rows = [
        {"id": f"id{i}", COLUMN: json.dumps(FEATURES[i]), "grown": grown[i] or []} for i in order
    ]
    return pa.Table.from_pylist(rows)


def drawn(found: pa.Table) -> dict[str, list[dict]]:
    texts = zip(found["id"].to_pylist(), found["subtrees"].to_pylist(), strict=True)
    return {id_: [json.loads(text) for text in parts] for id_, parts in texts}


def test_each_row_gets_parts_of_the_tree_of_all_whatever_the_order() -> None:
    stage = FeatureTree(breadths=(2, 1), temperature=10, forced=("computation operation",), n=3)
    found = stage.decide(table())
    parts = drawn(found)
    assert found["keep"].to_pylist() == [True] * 3
    assert found["n_features"].to_pylist() == [12] * 3
    assert all(len(part) == 2 for of_row in parts.values() for part in of_row)
    assert all("computation operation" in part for of_row in parts.values() for part in of_row)
    assert len({json.dumps(part) for of_row in parts.values() for part in of_row}) > 3
    assert drawn(stage.decide(table(order=(2, 0, 1)))) == parts
    assert drawn(FeatureTree(breadths=(2, 1), temperature=10, n=3, seed=1).decide(table())) != parts


def test_what_was_grown_is_a_part_of_the_tree() -> None:
    stage = FeatureTree(grown="grown", breadths=(9, 9), temperature=1)
    found = stage.decide(table(grown=(None, [PAIR], None)))
    assert found["n_features"].to_pylist() == [13] * 3
    assert all("stream" in part["workflow"] for parts in drawn(found).values() for part in parts)


@pytest.mark.parametrize("features", [None, "{}"])
def test_rows_without_features_still_get_parts(features) -> None:
    rows = [{"id": "a", COLUMN: features}, {"id": "b", COLUMN: json.dumps(FEATURES[0])}]
    schema = pa.schema({"id": pa.string(), COLUMN: pa.string()})
    found = FeatureTree().decide(pa.Table.from_pylist(rows, schema=schema))
    assert [list(parts[0]) for parts in drawn(found).values()] == [["computation operation"]] * 2
