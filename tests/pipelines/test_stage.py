"""A stage alone, on a table of one's own, as in a notebook."""

import importlib
import math
from pathlib import Path

import pyarrow as pa
import pytest

import gristmill
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


SHOWN = sorted(Path(gristmill.__file__).parent.glob("*/*.examples.jsonl"))


def test_other_worked_examples_make_another_stage(tmp_path, monkeypatch) -> None:
    lines = ["from gristmill.filters.length import Length", "class Mine(Length):", "    pass"]
    (tmp_path / "with_examples.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    stage = importlib.import_module("with_examples").Mine()
    names = [stage.identity]
    for text in ('{"shown": 1}', '{"shown": 2}'):
        (tmp_path / "with_examples.examples.jsonl").write_text(text)
        names.append(stage.identity)
    assert names[0] == ["Mine", stage.version, stage.model_dump(mode="json")]
    assert [len(name) for name in names] == [3, 4, 4]
    assert names[1] != names[2]


@pytest.mark.parametrize("path", SHOWN, ids=lambda path: path.name)
def test_every_file_of_worked_examples_is_a_part_of_its_stage(path: Path) -> None:
    name = path.name.removesuffix(".examples.jsonl")
    module = importlib.import_module(f"gristmill.{path.parent.name}.{name}")
    stage = getattr(module, "".join(part.title() for part in name.split("_")))
    assert len(stage.model_construct().identity) == 4
