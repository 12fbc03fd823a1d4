import pytest

from gristmill.text.leaks import heads, leak, markers

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


FILLED = "Ask.\n\n### Syllabus of {subject}\n{syllabus}\n\n### Question"


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("## syllabus of Botany\nx", "# Syllabus of {subject}"),
        ("Write a syllabus of botany.", None),
        ("The question: why?", "Question"),
    ],
)
def test_a_heading_is_found_whatever_fills_it_in(reply, found) -> None:
    assert leak(reply, markers([FILLED])) == found


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("The question: why?", None),
        ("Yes.\n#### question:\nWhy?", "# Question"),
        ("### Questions\nWhy?", None),
        ("### Syllabus of Botany", "# Syllabus of {subject}"),
        ("a {subject}", None),
    ],
)
def test_common_words_are_markers_as_headings_alone(reply, found) -> None:
    assert leak(reply, heads([FILLED])) == found
