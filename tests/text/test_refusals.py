import pytest

from gristmill.text.refusals import NON_ANSWERS, non_answer


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Sorry, I can't", "refusal"),
        ("I am SORRY. " + "word " * 76, "refusal"),  # 79 words
        ("I am sorry. " + "word " * 77, None),  # 80 words
        ("A sorrytown tale", None),
        ("And so it is: ... !?", "no_content"),
        ("", "no_content"),
        ("def f(): return 1", None),
        ("42", None),
        ("Je ne sais pas", None),
    ],
)
def test_what_is_no_answer_is_named(text, found) -> None:
    assert non_answer(text) == found
    assert found is None or found in NON_ANSWERS
