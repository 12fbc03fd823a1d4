import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.text.code_differences import (
    apply,
    edits,
    line_mask,
    similarity,
    spans,
    token_mask,
    weight,
)

RIGHT = "def f(a, b):\n    # sum\n    return a + b\n"
TEXTS = st.text(alphabet="ab+( \t\r\n\u00e9\u2028\x0c", max_size=30)


def test_a_changed_operator_is_one_line_and_one_character() -> None:
    changes = edits(RIGHT, RIGHT.replace("+", "-"))
    at = RIGHT.index("+")
    assert changes == [{"start": at, "end": at + 1, "text": "-"}]
    assert line_mask(RIGHT, RIGHT.replace("+", "-")) == [False, False, True]
    assert spans(RIGHT, changes) == [(at, at + 1)]


@given(TEXTS, TEXTS)
def test_the_edits_rebuild_the_wrong_program_byte_for_byte(right, wrong) -> None:
    changes = edits(right, wrong)
    assert apply(right, changes) == wrong
    for start, end in spans(right, changes):
        assert 0 <= start < end <= len(right)
    assert len(line_mask(right, wrong)) == len(right.splitlines())
    assert (right == wrong) is (not changes)


def test_what_only_the_wrong_program_has_marks_its_neighbours() -> None:
    changes = edits("return a + b\n", "return a + b + 1\n")
    assert line_mask("return a + b\n", "return a + b + 1\n") == [True]
    assert line_mask("a\nb\n", "a\nx\nb\n") == [False, False]
    assert spans("a\nb\n", edits("a\nb\n", "a\nx\nb\n")) == [(0, 1), (2, 3)]
    assert spans("return a + b\n", changes) == [(11, 12)]
    changes = edits("if a:\n    b()\n", "if a not:\n    b()\n")
    assert spans("if a:\n    b()\n", changes) == [(3, 5)], "`a` and `:` touch each other"


def test_carriage_returns_and_tabs_shift_nothing() -> None:
    right = "def f(a):\r\n\tx = 1\r\n\treturn a < x\r\n"
    changes = edits(right, right.replace("<", ">"))
    assert [right[s:e] for s, e in spans(right, changes)] == ["<"]
    assert line_mask(right, right.replace("<", ">")) == [False, False, True]


def test_a_token_counts_that_overlaps_a_span() -> None:
    offsets = [(0, 6), (6, 8), (8, 10), (10, 12), (12, 12)]
    assert token_mask(offsets, [(9, 10)]) == [False, False, True, False, False]
    assert token_mask(offsets, [(5, 9)]) == [True, True, True, False, False]
    assert token_mask(offsets, []) == [False] * 5


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [(-1, -1, 1.5), (0, -math.log(3), 1.25), (-math.log(3), 0, 1.75), (0, -9999, 1), (-9999, 0, 2)],
)
def test_the_weight_grows_with_the_preference_for_the_wrong_one(right, wrong, expected) -> None:
    assert weight(right, wrong) == pytest.approx(expected)
    assert weight(right, wrong, scale=3) == pytest.approx(1 + 3 * (expected - 1))


def slow_distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


@given(TEXTS, TEXTS)
def test_similarity_is_that_of_a_plain_levenshtein_distance(a, b) -> None:
    longest = max(len(a), len(b)) or 1
    assert similarity(a, b) == pytest.approx(1 - slow_distance(a, b) / longest)


def test_similarity_of_known_texts() -> None:
    assert similarity("kitten", "sitting") == pytest.approx(1 - 3 / 7)
    assert (similarity("", ""), similarity("", "ab"), similarity("ab", "ab")) == (1, 0, 1)
