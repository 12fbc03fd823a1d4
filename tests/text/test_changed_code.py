import pytest

from gristmill.text.changed_code import changed

OLD = """import re

def f(x):
    return x  # here

@wraps
def g(x):
    return 1

X = 1
"""


def test_an_edit_has_the_definitions_that_differ_as_they_are_written() -> None:
    new = OLD.replace("return 1", "return 2").replace("# here", "# there") + "\ndef h(): pass\n"
    assert changed(OLD, new) == (
        "@wraps\ndef g(x):\n    return 1",
        "@wraps\ndef g(x):\n    return 2",
    )


@pytest.mark.parametrize(
    "new",
    [OLD, OLD.replace("X = 1", "X = 2"), OLD.replace("# here", "# there"), "", "def f(", "\0"],
)
def test_what_changes_no_definition_is_no_edit(new) -> None:
    assert changed(OLD, new) is None
