import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.errors import InputError
from gristmill.geometry import walk as module
from gristmill.geometry.vectors import unit
from gristmill.selectors.deita import Deita


def decided(stage, degrees, complexity, quality):
    angles = np.radians(degrees)
    table = {
        "id": list("abcdefgh")[: len(degrees)],
        "complexity": complexity,
        "quality": quality,
        "scores.embedding.vector": pa.array(
            [[float(np.cos(a)), float(np.sin(a))] for a in angles], pa.list_(pa.float32())
        ),
    }
    return stage.decide(pa.table(table)).to_pylist()


def test_the_worked_walk_of_the_sheet() -> None:
    lines = decided(Deita(k=5), [0, 10, 40, 45, 90], [30.0, 28, 12, 20, 6], [1.0] * 5)
    assert [line["rank"] for line in lines] == [0, None, None, 1, 2]
    assert [line["blocked_by"] for line in lines] == [None, "a", "d", None, None]
    assert lines[1]["similarity"] == pytest.approx(0.98481, abs=1e-4)
    assert lines[2]["similarity"] == pytest.approx(0.99619, abs=1e-4)
    assert lines[3]["similarity"] == pytest.approx(0.70711, abs=1e-4)
    assert (lines[1]["code"], lines[1]["detail"]) == ("too_similar", "0.985 > 0.9")


def test_turns_are_summed_products() -> None:
    score = decided(Deita(k=1), [0], [[3.0, 2]], [[4.0, 5]])[0]
    assert score["evol"] == 22
    assert decided(Deita(k=1, turns="mean"), [0], [[3.0, 2]], [[4.0, 5]])[0]["evol"] == 11


def test_a_rejected_row_rejects_none() -> None:
    lines = decided(Deita(k=3), [0, 20, 40], [3.0, 2, 1], [1.0] * 3)
    assert [line["keep"] for line in lines] == [True, False, True]


def test_a_missing_score_is_missing_and_rows_after_the_last_pick_were_not_compared() -> None:
    lines = decided(Deita(k=1), [0, 90, 45], [1.0, 2, None], [1.0, 1, 1])
    assert [line["code"] for line in lines] == ["not_selected", None, "unscored"]
    assert lines[0]["similarity"] is None


def test_turns_that_do_not_match_are_refused() -> None:
    with pytest.raises(InputError, match="complexity has 2 turns and quality 1"):
        decided(Deita(k=1), [0], [[3.0, 2]], [[4.0]])


def test_a_product_is_not_invariant_under_a_monotone_change_of_one_score() -> None:
    by = {power: decided(Deita(k=1), [0, 90], [2.0**power, 3**power], [4.0, 2]) for power in (1, 3)}
    assert [by[1][0]["keep"], by[3][0]["keep"]] == [True, False]


@given(st.integers(0, 5), st.integers(1, 60), st.sampled_from([0.2, 0.6, 0.9]))
def test_blocks_decide_as_one_row_after_the_other(seed, k, threshold) -> None:
    rng = np.random.default_rng(seed)
    points = unit(rng.normal(size=(90, 4)).astype(np.float32))
    kept: list[int] = []
    for i in range(len(points)):
        if len(kept) < k and all(points[i] @ points[j] <= threshold for j in kept):
            kept.append(i)
    before = module.BLOCK, module.CHUNK
    try:
        module.BLOCK, module.CHUNK = 7, 3
        assert module.walk(points, k, threshold).picks.tolist() == kept
    finally:
        module.BLOCK, module.CHUNK = before
