"""The arrays against a plain version with one string per run."""

import re
import unicodedata
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gristmill.text import shingles as module
from gristmill.text.shingles import same, shingles

ALONE = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
TOKEN = re.compile(rf"[{ALONE}]|[^\W_{ALONE}]+|[-+*/=<>^%$#@&|~\\{{}}\[\]_]")


def slow(text: str, unit: str, n: int) -> Iterator[str]:
    folded = unicodedata.normalize("NFKC", text).casefold()
    parts = TOKEN.findall(folded) if unit == "words" else list(same(text))
    for i in range(max(len(parts) - n + 1, bool(parts))):
        yield "|".join(parts[i : i + n])


def alike(texts, unit, n) -> None:
    """Every pair of texts shares as many runs as in the slow version."""
    found = shingles(texts, unit, n)
    plain = [{*slow(text, unit, n)} for text in texts]
    assert [len(runs) for runs in map(found.__getitem__, range(len(found)))] == [*map(len, plain)]
    for (i, a), (j, b) in combinations(enumerate(plain), 2):
        assert len(np.intersect1d(found[i], found[j])) == len(a & b), (texts[i], texts[j])
        assert (found.names()[i] == found.names()[j]) == (a == b)


LETTERS = (
    "ab \n_-A9\u00df\u0130\u0301\u4e2d\u3042\ud800\uff21\u2028\u0939\u093f\U0001f600\U000e0041"
)


@given(st.lists(st.text(LETTERS, max_size=12), max_size=6), st.sampled_from([1, 2, 3, 5]))
@example(["ab c", "a bc", "abc", "", "cab", "c ab", "b a", "ab"], 1)
@example(["\u4e2d\u6587abc", "abc\u4e2d"], 1)
@settings(max_examples=60, deadline=None)
def test_texts_share_the_runs_that_they_share_in_the_slow_version(texts, n) -> None:
    for unit in ("words", "chars"):
        alike(texts, unit, n)


@pytest.mark.parametrize("unit", ["words", "chars"])
def test_blocks_change_nothing(monkeypatch, unit) -> None:
    texts = ["a b c d", "", "b c d e f", "x" * 50, "a b c d", "?", "g"] * 3
    whole = shingles(texts, unit, 2)
    monkeypatch.setattr(module, "BLOCK", 8)
    parts = shingles(texts, unit, 2)
    assert parts.hashes.tolist() == whole.hashes.tolist()
    assert parts.starts.tolist() == whole.starts.tolist()


def test_some_of_the_texts_in_any_order() -> None:
    found = shingles(["a b", "", "c d e", "f"], "words", 1)
    some = found.only(np.array([2, 1, 0]))
    assert [some[i].tolist() for i in range(3)] == [found[i].tolist() for i in (2, 1, 0)]
    assert len(found.only(np.array([], np.int64))) == 0


def test_a_shorter_text_is_one_run_and_an_empty_one_none() -> None:
    found = shingles(["a b", "...", "a b c", "a b c d e f"], "words", 5)
    assert np.diff(found.starts).tolist() == [1, 0, 1, 2]
