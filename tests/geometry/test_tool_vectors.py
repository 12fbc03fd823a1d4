"""Tools as vectors of requests, against a plain version, and what is learnt of them held out."""

import numpy as np
import pytest

from gristmill.geometry.tool_vectors import Refiner, Uses, classified, nearest
from gristmill.geometry.vectors import unit

M, D = 6, 24


def made(n: int, seed: int) -> Uses:
    """Return requests of which each third coordinate says what is meant, and the others nothing."""
    rng = np.random.default_rng(seed)
    of = np.arange(n) % M
    asked = rng.normal(size=(n, D)).astype(np.float32)
    asked[:, :M] = 0.6 * rng.normal(size=(n, M))
    asked[np.arange(n), of] += 2.0
    told = rng.normal(size=(M, D)).astype(np.float32)
    return Uses(unit(asked), unit(told), np.eye(M, dtype=np.float32)[:, of], 2)


def test_a_request_is_held_out_of_the_vectors_that_it_sees() -> None:
    known = made(9, 1)
    for j in range(9):
        vectors, is_known = known.without(j)
        for i in range(M):
            others = [
                known.asked[other] for other in range(9) if other != j and known.uses[i, other]
            ]
            assert is_known[i] == (len(others) >= 2)
            wanted = unit(np.mean(others, axis=0)[None])[0] if len(others) > 1 else known.told[i]
            np.testing.assert_allclose(vectors[i], wanted, atol=1e-6)
    np.testing.assert_allclose(known.of(np.arange(1, 9)).vectors(), known.without(0)[0], atol=1e-6)


def test_what_is_learnt_finds_more_than_inner_products_do() -> None:
    known, new = made(72, 2), made(300, 3)
    vectors, refiner = known.vectors(), Refiner(known, M)
    right = new.uses.argmax(axis=0)
    likely = classified(known, new.asked)
    assert likely.min() >= 0
    assert likely.max() <= 1
    shares = [
        np.mean([order(j)[0] == right[j] for j in range(len(right))])
        for order in (
            lambda j: np.argsort(-(known.told @ new.asked[j])),
            lambda j: nearest(new.asked[j], vectors, M),
            lambda j: np.argsort(-likely[j]),
            lambda j: np.argsort(-refiner.scores(new.asked[j], vectors, known.told)),
        )
    ]
    assert shares == sorted(shares), "descriptions, means, the classifier, the refiner"
    assert shares[3] > shares[1] + 0.05


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_of_what_all_or_none_use_nothing_is_learnt(share) -> None:
    known = made(8, 4)
    same = Uses(known.asked, known.told, np.full_like(known.uses, share), 2)
    assert (classified(same, known.asked) == share).all()
    vectors = same.vectors()
    found = Refiner(same, 3).scores(known.asked[0], vectors, known.told)
    np.testing.assert_allclose(found, vectors @ known.asked[0])


def test_without_requests_there_are_descriptions() -> None:
    none = made(8, 5).of(np.arange(0))
    assert (none.vectors() == none.told).all()
    assert (classified(none, made(3, 6).asked) == 0).all()
    assert Refiner(none, 3).scores(none.told[0], none.told, none.told)[0] == pytest.approx(1)


def test_of_equal_ones_the_first_is_nearest() -> None:
    vectors = np.array([[0, 1], [1, 0], [1, 0]], np.float32)
    assert nearest(np.array([1, 0], np.float32), vectors, 2).tolist() == [1, 2]
