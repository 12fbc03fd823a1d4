"""Curiosity: duplicates are not new, growth never makes newer, order changes nothing."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.scorers.curiosity import Curiosity
from gristmill.text.self_bleu import self_bleu

WORDS = st.lists(st.sampled_from("abcd"), max_size=8)


@given(st.lists(WORDS, min_size=1, max_size=6), WORDS)
def test_another_text_never_makes_one_newer(texts, more) -> None:
    before, after = self_bleu(texts), self_bleu([*texts, more])
    both = zip(before, after, strict=False)
    assert all((b is None) == (a is None) and (b or 0) <= (a or 0) + 1e-12 for b, a in both)
    assert self_bleu(texts[::-1]) == pytest.approx(before[::-1])
    assert all(value is None or 0 <= value <= 1 for value in after)


def test_self_bleu_by_hand() -> None:
    # Of the bigrams of "a b c" one of two stands in "a b d"; of its trigrams none.
    assert self_bleu([["a", "b", "c"], ["a", "b", "d"]], [2]) == [0.5, 0.5]
    assert self_bleu([["a", "b", "c"], ["a", "b", "d"]], [2, 3])[0] == pytest.approx(
        (0.5 * 0.1) ** 0.5
    )
    assert self_bleu([["a", "b"], ["a", "b"], []]) == [1.0, 1.0, None]
    # Counts are clipped: "a b" twice, once at most in one other text.
    assert self_bleu([["a", "b", "a", "b"], ["a", "b"], ["a", "b"]], [2])[0] == pytest.approx(1 / 3)


def table(texts: list[str | None], vectors: list[list[float] | None], noise: list[float | None]):
    return pa.table({
        "id": [f"{i}" for i in range(len(texts))], "instruction": texts,
        "scores.embedding.vector": pa.array(vectors, pa.list_(pa.float32())),
        "scores.perplexity.ppl": pa.array(noise, pa.float64()),
    })  # fmt: skip


X, Y = [1.0, 0.0], [0.0, 1.0]
ROWS = table(
    ["name an old tree", "name an old tree", "say why it rains so much"], [X, X, Y], [5.0, 5.0, 4.0]
)


def test_a_duplicate_is_least_new_and_the_other_most() -> None:
    found = Curiosity(k=1).decide(ROWS).to_pylist()
    assert [row["novelty_words"] for row in found[:2]] == [0.0, 0.0]
    assert [row["novelty_meaning"] for row in found] == pytest.approx([0.0, 0.0, 1.0])
    assert found[2]["total"] == 1.0
    assert found[0]["total"] == found[1]["total"] == pytest.approx(0.25)
    assert all(row["keep"] for row in found)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(-3, 3)] * 2).filter(any), min_size=1, max_size=8),
    st.tuples(*[st.integers(-3, 3)] * 2).filter(any),
    st.integers(1, 4),
)
def test_another_vector_never_makes_one_newer(points, more, k) -> None:
    def novelty(some):
        vectors = [list(np.array(one) / np.linalg.norm(one)) for one in some]
        rows = table(["a b"] * len(some), vectors, [1.0] * len(some))
        return Curiosity(k=k).decide(rows)["novelty_meaning"].to_numpy()

    before = novelty(points)
    assert (novelty([*points, more])[:-1] <= before + 1e-6).all()
    assert novelty(points[::-1])[::-1] == pytest.approx(before, abs=1e-6)


def test_noise_is_not_new() -> None:
    texts = ["name an old tree", "zq xv jj kk ww", "say why it rains"]
    plain = Curiosity(k=1).decide(table(texts, [X, Y, X], [5.0, 6.0, 5.0])).to_pylist()
    noisy = Curiosity(k=1).decide(table(texts, [X, Y, X], [5.0, 900.0, 5.0])).to_pylist()
    assert plain[1]["total"] == noisy[1]["total"] < 1.0
    calm = Curiosity(k=1).decide(table(texts, [X, Y, X], [5.0, 4.0, 5.0])).to_pylist()
    assert calm[1]["total"] > noisy[1]["total"]


def test_what_is_missing_has_no_total() -> None:
    found = (
        Curiosity()
        .decide(table([None, "a b c", "a b d"], [X, None, Y], [1.0, 2.0, None]))
        .to_pylist()
    )
    assert [row["total"] is None for row in found] == [True, True, True]
    assert found[1]["novelty_meaning"] is None
    (alone,) = Curiosity().decide(table(["a b c"], [X], [1.0])).to_pylist()
    assert alone["novelty_meaning"] == 1.0
    assert Curiosity().decide(ROWS.slice(0, 0)).num_rows == 0


def test_order_changes_nothing() -> None:
    turned = ROWS.take([2, 0, 1])
    assert Curiosity().decide(ROWS).sort_by("id") == Curiosity().decide(turned).sort_by("id")
    assert np.isfinite(Curiosity().decide(ROWS)["total"].to_numpy()).all()
