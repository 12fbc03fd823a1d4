"""Questions about pictures: read by number, checked by kind."""

import random

import pytest

from gristmill.text.picture_questions import (
    CLOSINGS,
    Question,
    asked,
    is_balanced,
    numbered_parts,
    read,
)

OPTIONS = "A) red B) blue C) green D) white"


def test_parts_are_read_by_number_and_the_first_of_a_number_counts() -> None:
    reply = (
        "Sure.\n**Question 2:** How many?\nAnswer 2: Two\nof them.\nquestion 1. What?\n"
        "Question 1: Again?\nThe answer 3: no"
    )
    assert numbered_parts(reply) == [
        {"question": "What?"}, {"question": "How many?", "answer": "Two\nof them."},
    ]  # fmt: skip
    assert numbered_parts("I cannot see it.") == []


@pytest.mark.parametrize(
    ("kind", "parts", "found"),
    [
        ("short", {"question": "What?"}, "no_question"),
        ("short", {"answer": "x"}, "no_question"),
        ("short", {"question": "Is it <red/blue>?", "answer": "x"}, "placeholder"),
        ("short", {"question": "Is 1 < 2 > 0\n?", "answer": "x"}, "placeholder"),
        ("short", {"question": "Is 1 < 2?", "answer": "yes"}, Question("Is 1 < 2?", "yes")),
        ("judgement", {"question": "Q?", "answer": "**No**, it is red."}, Question("Q?", "No")),
        ("judgement", {"question": "Q?", "answer": "Perhaps."}, "bad_answer"),
        ("choice", {"question": "Q?", "answer": "E", "choices": OPTIONS}, "bad_answer"),
        ("choice", {"question": "Q?", "answer": "blue", "choices": OPTIONS}, "bad_answer"),
        ("choice", {"question": "Q?", "answer": "A", "choices": f"{OPTIONS} E) x"}, "bad_choices"),
        (
            "choice",
            {"question": "Q?", "answer": "A", "choices": "A) x B) X C) y D) z"},
            "bad_choices",
        ),
        (
            "choice",
            {"question": "Q?", "answer": "A", "choices": "A) x B) C) y D) z"},
            "bad_choices",
        ),
        ("choice", {"question": "Q?", "answer": "A"}, "bad_choices"),
    ],
)
def test_a_question_that_is_none_says_why(kind, parts, found) -> None:
    assert read(parts, kind, random.Random(0)) == found


@pytest.mark.parametrize("listed", [OPTIONS, "\nA. red\n- B. blue;\n**C:** green\nD) white\n"])
def test_options_are_shuffled_and_the_right_one_stays_right(listed) -> None:
    parts = {"question": "Which?", "answer": "(b) blue", "choices": listed}
    made = [read(parts, "choice", random.Random(seed)) for seed in range(60)]
    assert {sorted(one.choices)[0] for one in made} == {"blue"}
    assert all(sorted(one.choices) == ["blue", "green", "red", "white"] for one in made)
    assert {one.answer for one in made} == {"A. blue", "B. blue", "C. blue", "D. blue"}
    assert all(f"\n{one.answer}\n" in asked(one, "Choose.") for one in made)


def test_half_of_the_judgements_are_yes() -> None:
    assert is_balanced(["Yes", "Yes", "No", "No"])
    assert not is_balanced(["Yes", "Yes", "Yes", "No"])


def test_there_are_ten_closings_of_a_kind() -> None:
    assert {len({*some}) for some in CLOSINGS.values()} == {10}
