import pytest

from gristmill.text.tested_code import Flaw, divide

RESPONSE = "Add.\n\n```python\ndef add(a, b):\n    return a + b\n```"
TESTS = "```python\nassert add(1, 2) == 3\n```"


def test_a_good_answer_is_its_response_and_the_code_of_its_tests() -> None:
    assert divide(f"{RESPONSE}\n</response>\n<tests>\n{TESTS}\n") == (
        RESPONSE,
        "assert add(1, 2) == 3",
    )


@pytest.mark.parametrize(
    ("response", "tests", "code"),
    [
        (RESPONSE, "assert add(1, 2) == 3", "no_tests"),
        (RESPONSE, "```python\nassert add(1, 2) == 3", "no_tests"),
        (RESPONSE, "```python\nprint(add(1, 2))\n```", "no_assert"),
        (RESPONSE, "```python\nimport x\ndef test():\n    assert add(1, 2) == 3\n```", "no_assert"),
        ("Add.\n\ndef add(a, b): ...", TESTS, "no_code"),
        (RESPONSE.replace("Add.", "TODO: explain"), TESTS, "placeholder"),
        (RESPONSE.replace("return a + b", "raise NotImplementedError"), TESTS, "placeholder"),
        (RESPONSE.replace("return a + b", "# your code here"), TESTS, "placeholder"),
        (f"{RESPONSE}\n</response>\n<tests>", TESTS, "not_two_parts"),
    ],
)
def test_every_flaw_has_its_code(response: str, tests: str, code: str) -> None:
    flaw = divide(f"{response}\n</response>\n<tests>\n{tests}\n")
    assert isinstance(flaw, Flaw)
    assert flaw.code == code


def test_without_the_boundary_nothing_is_guessed() -> None:
    flaw = divide(f"{RESPONSE}\n{TESTS}")
    assert isinstance(flaw, Flaw)
    assert flaw.code == "not_two_parts"


def test_a_function_called_for_its_asserts_counts_as_an_action() -> None:
    tests = "```python\ndef test():\n    assert add(1, 2) == 3\ntest()\n```"
    assert not isinstance(divide(f"{RESPONSE}\n</response>\n<tests>\n{tests}"), Flaw)


def test_words_that_only_contain_a_placeholder_pass() -> None:
    text = RESPONSE.replace("Add.", "Mastodons add.")
    assert not isinstance(divide(f"{text}\n</response>\n<tests>\n{TESTS}"), Flaw)
