import pytest

from gristmill.text.leaks import leak, markers

TEMPLATE = "Rewrite it.\n\n### Given task\n{text}\n\n## New task\nprint('#no heading')"


def test_headings_and_placeholders_are_markers() -> None:
    assert markers([TEMPLATE]) == {"Given task", "New task", "{text}"}


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("### Given task\nx", "Given task"),
        ("the GIVEN, task", "Given task"),
        ("my {text} here", "{text}"),
        ("the text and a given new tasks", None),
        ("a brandnew task", None),
    ],
)
def test_a_heading_counts_as_whole_words_and_a_placeholder_with_its_braces(reply, found) -> None:
    assert leak(reply, markers([TEMPLATE])) == found
