import numpy as np
import pyarrow as pa
import pytest

from gristmill.errors import InputError
from gristmill.selectors import facility_location as module
from gristmill.selectors.facility_location import FacilityLocation


def decided(stage, degrees, weights=None):
    vectors = [
        None if d is None else [float(np.cos(np.radians(d))), float(np.sin(np.radians(d)))]
        for d in degrees
    ]
    columns = {"id": [f"{i:02}" for i in range(len(degrees))]}
    columns["scores.embedding.vector"] = pa.array(vectors, pa.list_(pa.float32()))
    if weights is not None:
        columns["w"] = pa.array(weights, pa.float64())
    return stage.decide(pa.table(columns)).to_pylist()


def test_the_middle_of_the_larger_group_comes_first() -> None:
    lines = decided(FacilityLocation(k=2), [-10, 0, 10, 100, 110])
    assert [line["rank"] for line in lines] == [None, 0, None, 1, None]
    assert lines[1]["gain"] == pytest.approx(1 + 2 * np.cos(np.radians(10)), abs=1e-4)
    assert (lines[0]["code"], lines[0]["detail"]) == ("not_selected", "k=2")


def test_a_weight_moves_the_first_pick() -> None:
    stage = FacilityLocation(k=1, weight="w")
    lines = decided(stage, [0, 10, 20, 90, None, 5], [1, 1, 1, 9, 1, None])
    assert [line["rank"] for line in lines] == [None, None, None, 0, None, None]
    assert [lines[4]["code"], lines[5]["code"]] == ["no_vector", "unscored"]


def test_a_negative_weight_is_refused() -> None:
    with pytest.raises(InputError, match="w is -1; a weight is 0 or more"):
        decided(FacilityLocation(k=1, weight="w"), [0, 1], [-1, 1])


def test_a_table_too_large_for_an_exact_graph_names_the_sparse_way() -> None:
    n = module.LARGE + 1
    flat = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(n, np.float32)), 1)
    vectors = flat.cast(pa.list_(pa.float32()))
    table = pa.table({"id": [str(i) for i in range(n)], "scores.embedding.vector": vectors})
    with pytest.raises(InputError, match=r"200,001 rows takes too long .* set cells"):
        FacilityLocation(k=1).decide(table)
