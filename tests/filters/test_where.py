import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gristmill import Recipe, run
from gristmill.errors import InputError, RecipeError
from gristmill.filters.where import Where

ROWS = [
    {"instruction": "Name a tree.", "output": "An oak stands there.", "n": 3, "x": 0.5},
    {"instruction": "Name a bird.", "output": "A wren.", "n": 9, "x": 1.5},
    {"instruction": "Name a fish.", "output": None, "n": None, "x": float("nan")},
]


def kept(where: str, **changes: object) -> list[int]:
    table = pa.table({"place": [0, 1, 2], **{k: [row[k] for row in ROWS] for k in ROWS[0]}})
    return Where(where=where, **changes)(table)["place"].to_pylist()


def test_rows_for_which_it_holds_stay() -> None:
    assert kept("n > 5") == [1]
    assert kept("x < 1 and words(output) > 3") == [0]
    assert kept("n is null or n < 5") == [0, 2]


def test_nan_is_missing_not_large() -> None:
    assert kept("x > 1") == [1]
    assert kept("x is null") == [2]


def test_a_row_whose_missing_value_decides_has_its_own_code() -> None:
    table = pa.table(
        {"id": ["a", "b", "c"], "n": [3, 9, None], "output": [r["output"] for r in ROWS]}
    )
    out = Where(where="n > 5 or chars(output) > 99").decide(table).to_pylist()
    assert [(line["keep"], line["code"]) for line in out] == [
        (False, "condition_false"),
        (True, None),
        (False, "condition_unknown"),
    ]
    assert out[0]["detail"] == "n=3, output='An oak stands there.'"
    assert out[2]["detail"] == "n=null, output=null"
    assert kept("n > 5", unknown="keep") == [1, 2]


def test_nested_columns_are_dotted(tmp_path) -> None:
    stages = "[{use: scorers.word_count}, {use: filters.where, where: scores.word_count.words > 2}]"
    recipe = Recipe.load("threshold", [f"stages={stages}", "seeds={}", "name=nested"])
    result = run(recipe, ROWS[:2], {}, workspace=tmp_path)
    assert [row["output"] for row in result.dataset.to_pylist()] == ["An oak stands there."]
    assert result.ledger[1]["codes"] == {"condition_false": 1}


def test_the_check_names_a_column_that_nothing_writes(tmp_path) -> None:
    stages = "[{use: scorers.word_count}, {use: filters.where, where: scores.word_count.word > 2}]"
    recipe = Recipe.load("threshold", [f"stages={stages}", "seeds={}"])
    with pytest.raises(
        RecipeError, match=r"reads 'scores.word_count.word', .*scores.word_count.words"
    ):
        run(recipe, ROWS[:2], {}, workspace=tmp_path)


def test_a_condition_that_does_not_parse_is_an_error_of_the_recipe() -> None:
    with pytest.raises(ValidationError, match="expected the end, `and` or `or` at character 6"):
        Where(where="n > 5 6")


@pytest.mark.parametrize(
    ("where", "says"),
    [("n", "'n' stands alone, but is Int64"), ("output > 5", "String"), ("has(n, 1)", "n.*Int64")],
)
def test_values_that_do_not_compare_are_an_error_with_their_types(where, says) -> None:
    with pytest.raises(InputError, match=says):
        kept(where)


@given(st.lists(st.one_of(st.none(), st.integers(-5, 5)), max_size=20), st.integers(-5, 5))
def test_every_row_gets_one_line_in_its_order(values, bound) -> None:
    ids = [str(i) for i in range(len(values))]
    out = Where(where=f"n >= {bound}").decide(
        pa.table({"id": ids, "n": pa.array(values, pa.int64())})
    )
    assert out["id"].to_pylist() == ids
    assert out["keep"].to_pylist() == [v is not None and v >= bound for v in values]
