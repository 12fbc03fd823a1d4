"""The order of a course of study."""

from itertools import groupby, pairwise, product

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.selectors.interleaved import Interleaved

STAGES, LEVELS = ("secondary", "undergraduate"), ("remember", "understand", "apply")


def ordered(rows, **changes):
    """Return the rows, as (stage, level, subject, ...), in the order they are ranked in."""
    names = ("education", "meta.corgi.bloom", "subject", "course", "meta.corgi_concepts.place")
    padded = [(*row, "c", 0)[:3] + (*row[3:], "c", 0)[:2] for row in rows]
    table = {name: [row[i] for row in padded] for i, name in enumerate(names)}
    table["id"] = [f"{i:04}" for i in range(len(rows))]
    found = Interleaved(**changes).decide(pa.table(table)).to_pylist()
    ranks = sorted((one["rank"], i) for i, one in enumerate(found) if one["keep"])
    return [rows[i] for _, i in ranks], found


def test_the_worked_order_of_the_sheet() -> None:
    rows = list(product(STAGES, LEVELS, "AB"))
    assert ordered(rows[::-1])[0] == rows, "s1 remember A, s1 remember B, s1 understand A, ..."
    blocked = [(s, b, x) for x, s, b in product("AB", STAGES, LEVELS)]
    assert ordered(rows[::-1], order="blocked")[0] == blocked
    mixed = ordered(rows, order="random")[0]
    assert sorted(mixed) == sorted(rows)
    assert mixed not in (rows, blocked)
    assert mixed == ordered(rows, order="random")[0] != ordered(rows, order="random", seed=1)[0]


@settings(max_examples=15)
@given(
    st.lists(st.tuples(st.sampled_from(STAGES), st.sampled_from(LEVELS), st.sampled_from("ABC")))
)
def test_difficulty_never_falls_and_subjects_take_turns(rows) -> None:
    order, _ = ordered(rows)
    ranks = [(STAGES.index(stage), LEVELS.index(level)) for stage, level, _ in order]
    assert sorted(order) == sorted(rows)
    assert all(a <= b for a, b in pairwise(ranks))
    for _, bucket in groupby(order, key=lambda row: row[:2]):
        subjects = [subject for *_, subject in bucket]
        for i, (one, other) in enumerate(pairwise(subjects)):
            assert one != other or {*subjects[i:]} == {one}


def test_inside_a_subject_the_course_and_the_place_in_it_decide() -> None:
    rows = [("secondary", "remember", "A", course, place)
            for course, place in (("b", 0), ("a", 10), ("a", 9))]  # fmt: skip
    assert ordered(rows)[0] == [rows[2], rows[1], rows[0]]
    assert ordered(rows, within=())[0] == rows


@pytest.mark.parametrize("order", ["interleaved", "blocked", "random"])
def test_a_row_without_a_known_level_leaves(order) -> None:
    rows = [("secondary", "create", "A"), (None, "apply", "A"), ("secondary", "apply", "A")]
    kept, found = ordered(rows, order=order)
    assert kept == rows[2:]
    assert [one["code"] for one in found] == ["unranked", "unranked", None]
