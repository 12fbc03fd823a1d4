import pytest

from gristmill.text.instances import flaw, input_first, label_first
from gristmill.text.task_rules import one_line, task_flaw


@pytest.mark.parametrize(
    ("task", "code"),
    [
        ("Name a city in Peru.", None),
        ("Name a city.", "wrong_length"),
        ("", "wrong_length"),
        ("Draw a city in Peru.", "modality"),
        ("Name a drawn city in Peru.", None),
        ("- name a city in Peru", "odd_start"),
        ("Write a program for the city.", "asks_for_program"),
        ("write a Program for the city.", "asks_for_program"),
    ],
)
def test_a_task_is_one_or_says_why_not(task, code) -> None:
    found = task_flaw(task)
    assert (found and found[0]) == code


def test_other_words_may_be_banned() -> None:
    assert task_flaw("Write a song about video games.", ("audio", "video")) == ("modality", "video")
    assert task_flaw("Draw a city in Peru.", ("audio",)) is None


def test_a_task_stands_on_one_line_and_keeps_its_capitals() -> None:
    assert one_line(" Tell NASA's\n\tstory: :") == "Tell NASA's story"


def test_instances_are_read_by_their_markers_at_the_beginning_of_a_line() -> None:
    said = "Example 1.\nInput: the output: 3\nOutput: see example 2\nInput: x\nExample 2\nOutput:"
    assert input_first(said) == [("the output: 3", "see example 2"), ("", "")]
    assert input_first("no marker") == [("no marker", None)]
    assert label_first("Class label: a\nb\n\nc\nclass label: d") == [("b\n\nc", "a"), ("", "d")]
    assert label_first("a") == []


def test_the_first_flaw_of_a_pair_is_named() -> None:
    assert flaw("a", "b") is None
    assert [flaw("a", None), flaw("a", ""), flaw("a", "a"), flaw("a:", "b"), flaw("a", "b:")] == [
        "no_marker", "no_answer", "input_is_output", "ends_with_colon", "ends_with_colon",
    ]  # fmt: skip
