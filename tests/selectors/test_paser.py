from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from gristmill.errors import InputError
from gristmill.geometry import spectral as module
from gristmill.geometry.spectral import spectral
from gristmill.selectors.paser import Paser
from gristmill.text.concept_graph import ConceptGraph
from gristmill.text.key_phrases import key_phrases


def blobs(*sizes):
    rng = np.random.default_rng(0)
    made = np.repeat(np.eye(len(sizes), 8), sizes, axis=0)
    return (made + rng.normal(scale=0.02, size=made.shape)).astype(np.float32)


def is_pure(of, *sizes):
    edges = np.cumsum([0, *sizes])
    found = [set(of[a:b].tolist()) for a, b in pairwise(edges)]
    return all(len(labels) == 1 for labels in found) and len(set.union(*found)) == len(sizes)


def decided(stage, points, degradation, **columns):
    n = len(degradation)
    table = {
        "id": [f"{i:03}" for i in range(n)],
        "scores.divergence.score": pa.array(degradation, pa.float64()),
        "scores.embedding.vector": pa.array(list(points), pa.list_(pa.float32())),
        **{name: pa.nulls(n, pa.string()) for name in ("input", "output", "messages")},
        "instruction": [f"word{i}" for i in range(n)],
        **columns,
    }
    return stage.decide(pa.table(table)).to_pylist()


@pytest.mark.parametrize("k", [3, None])
@pytest.mark.parametrize("sigma", [None, 0.5, 1.0])
def test_three_blobs_are_three_clusters(k, sigma) -> None:
    points = blobs(20, 20, 20) * (1 if sigma != 1.0 else 4)
    assert is_pure(spectral(points, k, sigma=sigma).of, 20, 20, 20)


def test_the_number_of_clusters_is_where_the_error_ends() -> None:
    one = np.random.default_rng(0).normal(scale=0.1, size=(20, 8))
    points = np.concatenate([one + 6 * np.eye(8)[axis] for axis in range(3)])
    found = spectral(points.astype(np.float32), None, sigma=1.0)
    errors = found.errors
    assert [errors[1], errors[2]] == pytest.approx([0.816, 0.577], abs=1e-3)
    assert errors[3] < 0.001
    assert len(errors) == 3
    assert found.eigenvalues[2] < 0.01 < 0.9 < found.eigenvalues[3]


@pytest.mark.parametrize(("left", "parts"), [(0.895, 2), (0.905, 1)])
def test_one_more_cluster_has_to_take_a_tenth_of_the_error(left, parts) -> None:
    """By hand: the best factors of a diagonal are its largest numbers, the error is the rest."""
    squares = [2.0, 1 - left**2, *[left**2 / 40] * 40]  # after the second 0.987 is left by each
    of, errors = module._factors(np.diag(np.sqrt(squares)), range(1, 21), 0)
    assert [errors[1], errors[2] / errors[1]] == pytest.approx([3**-0.5, left], abs=1e-4)
    assert [len(errors), len(set(of.tolist()))] == [parts + 1, parts]


def test_a_graph_of_neighbours_finds_the_same_clusters() -> None:
    small, module.DENSE = module.DENSE, 50
    try:
        assert is_pure(spectral(blobs(90, 80, 70), 3).of, 90, 80, 70)
    finally:
        module.DENSE = small


def test_the_worked_graph_of_the_sheet() -> None:
    rows = ["loan rate", "poem rhyme", "loan poem", "loan tax", "tax rate", "poem metre"]
    graph = ConceptGraph()
    assert [graph.accepts(row.split()) for row in rows] == [True, True, False, True, False, True]
    other = ConceptGraph()
    assert all(other.accepts(rows[i].split()) for i in (0, 1, 4)), "the order decides"


def test_a_row_with_one_concept_adds_nothing() -> None:
    graph = ConceptGraph()
    assert graph.accepts(["loan"])
    assert graph.accepts(["poem"])
    assert graph.accepts(["loan", "poem"])


def test_the_worked_budgets_of_the_sheet() -> None:
    lost = np.repeat([0.5, 0.3, 0.2], 20)
    for k, sizes in ((10, [5, 3, 2]), (11, [6, 3, 2])):
        lines = decided(Paser(k=k, clusters=3), blobs(20, 20, 20), lost)
        kept = [sum(line["keep"] for line in lines[i : i + 20]) for i in (0, 20, 40)]
        assert kept == sizes


def test_the_worked_efficiencies_of_the_sheet() -> None:
    tokens = pa.array([20.0, 200, 200])
    stage = Paser(k=1, clusters=1, tokens="n", concepts=0)
    lines = decided(stage, blobs(3), [0.30, 0.30, 0.36], n=tokens)
    assert [line["efficiency"] for line in lines] == pytest.approx(
        [0.050071, 0.028311, 0.033973], abs=1e-5
    )
    assert lines[0]["keep"]
    (one,) = decided(stage, blobs(1), [0.3], n=pa.array([1.0]))
    assert one["efficiency"] == pytest.approx(0.3), "no row costs less than e"


def test_a_conflict_leaves_and_the_next_row_takes_its_place() -> None:
    names = [["a", "b"], ["c", "d"], ["a", "c"], ["e", "f"]]
    stage = Paser(k=3, clusters=1, concepts_by="names")
    lines = decided(stage, blobs(4), [0.9, 0.8, 0.7, 0.6], names=pa.array(names))
    assert [line["rank"] for line in lines] == [0, 1, None, 2]
    assert lines[2]["code"] == "concept_conflict"


def test_key_phrases_are_the_heaviest_words_between_stop_words() -> None:
    text = "Explain the loan rate of a bank. The loan rate is fixed, and the bank is old."
    assert key_phrases(text, 9) == ["loan rate", "bank", "explain", "fixed", "old"]
    assert key_phrases("", 3) == []


def test_rows_that_are_not_drawn_join_the_cluster_of_the_nearest() -> None:
    points = blobs(90, 80, 70)
    assert is_pure(spectral(points, 3, sample=30).of, 90, 80, 70)
    whole = spectral(points, 3)
    for sample in (0, len(points), 1000):
        assert np.array_equal(spectral(points, 3, sample=sample).of, whole.of)


def test_too_many_rows_to_cluster_are_refused_but_not_where_some_are_drawn() -> None:
    large, module.LARGE = module.LARGE, 5
    try:
        with pytest.raises(InputError, match=r"6 rows take too long .*; set sample, such as"):
            decided(Paser(k=1), blobs(6), [0.1] * 6)
        lines = decided(Paser(k=1, sample=4), blobs(6), [0.1] * 6)
    finally:
        module.LARGE = large
    assert sum(line["keep"] for line in lines) == 1


def test_equal_rows_are_one_cluster() -> None:
    lines = decided(Paser(k=2), [[1.0, 0.0]] * 5, [0.1, 0.2, 0.3, 0.3, 0.1])
    assert [line["rank"] for line in lines] == [None, None, 0, 1, None]
