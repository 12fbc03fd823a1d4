import pytest

from gristmill.text.interpreter_steps import is_grounded, read, seen

CODE = "Thought: Add.\nAction: python\n```python\nx = 1\n```"


def test_a_step_has_code_or_an_answer() -> None:
    assert read(CODE) == ({"thought": "Add.", "code": "x = 1", "output": None}, None)
    bold = "Thought: It is 5.\nSo I say it.\n**Final answer:** -5 cats** \n"
    thought = "It is 5.\nSo I say it."
    assert read(bold) == ({"thought": thought, "code": None, "output": None}, "-5 cats")


@pytest.mark.parametrize(
    "text",
    [
        CODE + "\nFinal answer: 1",
        CODE + "\n```python\ny = 2\n```",
        "Thought: hm.",
        "Final answer: 1\nFinal answer: 2",
        "Final answer:",
        CODE[:-3],
        "",
    ],
)
def test_what_has_both_or_neither_is_no_step(text) -> None:
    assert read(text) is None


def cell(**parts: str | None) -> dict[str, str | None]:
    return {"stdout": "", "value": None, "error": None, **parts}


def test_what_is_seen_is_output_value_and_the_end_of_an_error() -> None:
    assert seen(cell(stdout="a\n", value="1")) == "a\n1"
    assert seen(cell(error="KeyError: 'x'\n")) == "KeyError: 'x'"
    assert seen(cell()) == "(nothing)"
    assert len(seen(cell(stdout="a" * 3000, value="b"))) == 2000
    assert seen(cell(stdout="a" * 3000, value="b")).endswith("a\nb")


def test_an_answer_is_grounded_in_what_was_seen_or_thought_last() -> None:
    one = {"thought": "first 7", "code": "x", "output": "42"}
    last = {"thought": "so 9", "code": None, "output": None}
    assert [is_grounded(a, [one, last]) for a in ("42", "9", "7")] == [True, True, False]
