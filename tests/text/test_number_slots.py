import random
from decimal import Decimal

import pytest

from gristmill.text.number_slots import Problem, Slot, align, answer_of, is_like

CRATE = "A crate of 1,200 bottles costs $30.50, and 25% of 12 crates are sold."
MASKED = "A crate of [[n]] bottles costs $[[price]], and [[part]]% of [[crates]] crates are sold."


def problem() -> Problem:
    found = align(MASKED, CRATE)
    assert isinstance(found, Problem)
    return found


def test_a_template_with_its_own_numbers_is_the_question_byte_for_byte() -> None:
    found = problem()
    assert [(s.name, s.text, s.kind) for s in found.slots] == [
        ("n", "1,200", "integer"),
        ("price", "30.50", "decimal"),
        ("part", "25", "percent"),
        ("crates", "12", "integer"),
    ]
    assert found.question(found.own) == CRATE
    assert found.call(found.own) == "solve(n=1200, price=30.50, part=25, crates=12)"


def test_other_numbers_are_written_as_the_old_ones() -> None:
    values = tuple(map(Decimal, ("1500", "20.75", "40", "9")))
    assert problem().question(values) == (
        "A crate of 1,500 bottles costs $20.75, and 40% of 9 crates are sold."
    )


@pytest.mark.parametrize(
    ("template", "question", "why"),
    [
        ("No slot at 5.", "No slot at 5.", "no slot"),
        ("[[a]][[b]] cats", "12 cats", "two slots without a text between them"),
        ("[[a]] dogs", "12 cats", "the template with its numbers is not the question"),
        ("[[a]]0 cats", "120 cats", "the template with its numbers is not the question"),
        ("[[a]].5 cats", "2.5 cats", "the template with its numbers is not the question"),
        ("[[a]] and [[a]]", "3 and 4", "the template with its numbers is not the question"),
        ("[[a]] cats", "five cats", "the template with its numbers is not the question"),
        ("On route [[a]].", "On route 66.", "a: 'On route 66' is a name or a date"),
        ("In [[a]] it rained.", "In 1999 it rained.", "a: 'In 1999' is a name or a date"),
        ("A [[a]]-digit code", "A 2-digit code", "a: it is an ordinal"),
        ("The [[a]]th cat", "The 4th cat", "a: it is an ordinal"),
    ],
)
def test_what_is_no_template_of_a_question_says_why(template, question, why) -> None:
    assert align(template, question) == why


def test_a_question_that_has_marks_of_its_own_is_text() -> None:
    assert align("[[x]] is [[n]] {0} \\d", "[[x]] is 5 {0} \\d") == (
        "the template with its numbers is not the question"
    )
    found = align("{0} \\d+ [[n]] (", "{0} \\d+ 5 (")
    assert isinstance(found, Problem)
    assert found.question(found.own) == "{0} \\d+ 5 ("


def test_a_name_that_comes_back_is_one_number() -> None:
    found = align("[[a]] cats eat [[a]] mice", "3 cats eat 3 mice")
    assert isinstance(found, Problem)
    assert found.question((Decimal(5),)) == "5 cats eat 5 mice"


@pytest.mark.parametrize(
    ("slot", "least", "most"),
    [
        (Slot("a", "10", "integer"), 5, 20),
        (Slot("a", "1", "integer"), 2, 3),
        (Slot("a", "2", "integer"), 3, 4),
        (Slot("a", "80", "percent"), 40, 100),
        (Slot("a", "150", "percent"), 75, 300),
        (Slot("a", "2.50", "decimal"), 1.25, 5),
    ],
)
def test_another_number_is_never_the_old_one_and_of_its_kind(slot, least, most) -> None:
    rng = random.Random(1)
    drawn = [slot.other(rng.randint) for _ in range(2000)]
    assert slot.value not in drawn
    assert (min(drawn), max(drawn)) == (Decimal(str(least)), Decimal(str(most)))
    assert {len(slot.written(value).partition(".")[2]) for value in drawn} == {slot.decimals}


def test_nothing_is_no_number_that_could_be_another_one() -> None:
    assert Slot("a", "0", "integer").other(random.Random(1).randint) is None
    assert problem().vary(0b10, 3, lambda low, high: low) == [
        (Decimal(1200), Decimal("15.25"), Decimal(25), Decimal(12))
    ]


def test_no_number_passes_a_larger_one_of_its_kind() -> None:
    found = problem()
    fine, passed = ("6", "1", "99", "6"), ("6", "1", "99", "7")
    assert found.keeps_order(tuple(map(Decimal, fine)))
    assert not found.keeps_order(tuple(map(Decimal, passed)))


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("so 72\n#### 1,234", "1234"),
        ("#### 0.50", "0.5"),
        ("#### -3", "-3"),
        ("#### 1/4", "0.25"),
        ("#### 1/3", None),
        ("#### \u22125", "-5"),
        ("#### 20%", "20"),
        ("#### five", None),
        ("#### 1e400", None),
        ("", None),
        ("9" * 100_000, None),
    ],
)
def test_the_answer_of_a_solution_is_one_plain_number(solution, answer) -> None:
    assert answer_of(solution) == answer


@pytest.mark.parametrize(
    ("answer", "other", "like"),
    [
        ("72", "7", True),
        ("72", "7.3", False),
        ("72", "-7", False),
        ("72", "", False),
        ("7.5", "7.25", True),
        ("7.5", "7.333333", False),
        ("7.125", "7.375", True),
    ],
)
def test_another_answer_is_whole_where_the_old_one_was(answer, other, like) -> None:
    assert is_like(answer, other) is like
