"""A stage alone, on a table of one's own, as in a notebook."""

import math

import pyarrow as pa
import pytest

from gristmill.errors import InputError
from gristmill.filters.exact_duplicates import ExactDuplicates
from gristmill.selectors.k_center import KCenter
from gristmill.selectors.threshold import Threshold
from gristmill.verifiers.functional_consensus import FunctionalConsensus


@pytest.mark.parametrize(
    ("stage", "columns"),
    [
        (Threshold(of="scores.judge.rating"), {"rating": [1.0, 2.0]}),
        (ExactDuplicates(), {"instruction": pa.array([], pa.string())}),
        (KCenter(k=2), {"vector": [[math.nan, 1.0], [math.nan, 2.0]]}),
    ],
    ids=["threshold", "no rows", "no vectors"],
)
def test_a_table_of_which_nothing_is_kept_is_empty(stage, columns) -> None:
    found = stage(pa.table(columns))
    assert (found.num_rows, found.column_names) == (0, list(columns))


def test_kept_rows_without_ranks_stay_in_order() -> None:
    table = pa.table({"instruction": ["b", "a", "b", "c"]})
    assert ExactDuplicates()(table)["instruction"].to_pylist() == ["b", "a", "c"]


def test_a_stage_that_calls_engines_says_where_to_use_it() -> None:
    with pytest.raises(InputError, match="FunctionalConsensus calls engines; use it in a recipe"):
        FunctionalConsensus()(pa.table({"output": ["x = 1"], "inputs": [["x"]]}))
