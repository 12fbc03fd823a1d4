import numpy as np
import pyarrow as pa
import pytest

from gristmill.errors import InputError
from gristmill.pipelines import Recipe, run
from gristmill.selectors.d3 import D3

IDS = list("abcdefgh")


def table(degrees, difficulty, dependability):
    vectors = [
        None if a is None else [float(np.cos(np.radians(a))), float(np.sin(np.radians(a)))]
        for a in degrees
    ]
    return pa.table(
        {
            "id": IDS[: len(degrees)],
            "scores.upd.score": pa.array(difficulty, pa.float64()),
            "scores.dependability.score": pa.array(dependability, pa.float64()),
            "scores.embedding.vector": pa.array(vectors, pa.list_(pa.float32())),
        }
    )


def chord(degrees):
    return 2 * np.sin(np.radians(degrees) / 2)


def test_every_pick_has_the_largest_product_of_three() -> None:
    lines = D3(k=3).decide(table([0, 60, 180, 90], [0.9, 0.8, 0.5, 0.5], [1, 0.5, 0.4, 0.2]))
    lines = lines.to_pylist()  # values .9, .4, .2, .1
    assert [line["rank"] for line in lines] == [0, 1, 2, None]
    assert [line["value"] for line in lines] == pytest.approx([0.9, 0.4, 0.2, 0.1])
    # At the second pick .4 of 60 degrees and .2 of 180 degrees are worth the same.
    assert [line["gain"] for line in lines[1:3]] == pytest.approx([0.4, 0.2 * chord(120)])
    assert lines[0]["gain"] is None
    assert (lines[3]["code"], lines[3]["detail"]) == ("not_selected", "k=3")


def test_distance_outweighs_a_larger_value() -> None:
    lines = D3(k=2).decide(table([0, 5, 180], [0.9, 0.8, 0.1], [1.0] * 3)).to_pylist()
    assert [line["keep"] for line in lines] == [True, False, True]


def test_of_equal_vectors_the_one_with_the_larger_value_stays() -> None:
    lines = D3(k=3).decide(table([0, 0, 90], [0.2, 0.9, 0.5], [1.0] * 3)).to_pylist()
    assert [line["rank"] for line in lines] == [None, 0, 1]
    assert lines[0]["code"] == "zero_distance"


def test_a_row_that_lacks_one_of_the_three_leaves_with_its_code() -> None:
    made = table([0, 30, 60, None], [0.5, None, 0.5, 0.9], [1.0, 1.0, None, 1.0])
    lines = D3(k=4).decide(made).to_pylist()
    assert [line["code"] for line in lines] == [None, "unscored", "unscored", "no_vector"]
    assert lines[1]["detail"] == "scores.upd.score or scores.dependability.score is null"


def test_a_negative_score_is_refused() -> None:
    with pytest.raises(InputError, match=r"is -0.5; both are 0 or more"):
        D3(k=1).decide(table([0, 1], [-0.5, 1], [1.0, 1.0]))


def test_two_negative_scores_make_no_positive_one() -> None:
    with pytest.raises(InputError, match=r"scores.upd.score is -2; both are 0 or more"):
        D3(k=1).decide(table([0, 1], [-2, 1], [-3, 1.0]))


@pytest.mark.parametrize("scale", [1e25, 1e150, 1e-25, 1e-150])
def test_scores_of_any_size_are_told_apart(scale) -> None:
    difficulty = np.array([0.9, 0.8, 0.5, 0.5])
    plain = D3(k=3).decide(table([0, 60, 180, 90], difficulty, [1, 0.5, 0.4, 0.2]))
    scaled = D3(k=3).decide(table([0, 60, 180, 90], difficulty * scale, [1, 0.5, 0.4, 0.2]))
    assert scaled["rank"].to_pylist() == plain["rank"].to_pylist() == [0, 1, 2, None]
    wanted = [None if gain is None else gain * scale for gain in plain["gain"].to_pylist()]
    assert scaled["gain"].to_pylist() == [x and pytest.approx(x) for x in wanted]


def test_a_product_that_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match=r"scores.dependability.score is above 1.8e308"):
        D3(k=1).decide(table([0, 1], [1e200, 1.0], [1e200, 1.0]))


def test_a_later_round_keeps_away_from_the_picks_before_it() -> None:
    made = table([0, 90, 170], [0.9, 0.2, 0.1], [1.0] * 3)
    first = D3(k=1).decide(made, None).to_pylist()
    assert [line["keep"] for line in first] == [True, False, False]
    pool = pa.table({"scores": [{"embedding": {"vector": [2.0, 0.0]}}]})
    lines = D3(k=3).decide(made, pool).to_pylist()
    assert [line["rank"] for line in lines] == [None, 0, 1]
    assert lines[0]["code"] == "zero_distance", "it was picked in the first round"
    assert lines[1]["gain"] == pytest.approx(0.2 * 2**0.5)


def test_a_recipe_with_rounds_picks_other_rows_in_the_second(script, tmp_path) -> None:
    replies = {
        "Say 0": [[1.0, 0.0]],
        "Say 1": [[0.0, 1.0]],
        "Say 2": [[-0.8, 0.6]],
        "Say 3": [[0.0, -1.0]],
        "Say 4": [[0.8, 0.6]],
    }
    stages = (
        "stages=[{use: scorers.embedding}, {use: selectors.d3, k: 2, difficulty: a, "
        "dependability: a}, {use: filters.exact_duplicates}]"
    )
    recipe = Recipe.load("d3", [stages, "engines={}", "rounds={n: 2}"])
    seeds = [
        {"instruction": f"Say {i}", "output": str(i), "a": 1.0 - i / 10}
        for i in range(len(replies))
    ]
    result = run(recipe, seeds, {"embedder": script(replies)}, workspace=tmp_path)
    rows = sorted((row["round"], row["output"]) for row in result.dataset.to_pylist())
    assert rows == [(0, "0"), (0, "2"), (1, "1"), (1, "3")]
