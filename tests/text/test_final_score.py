import pytest

from gristmill.text.final_score import final_score


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("Good.\nScore: 9", 9), ("**Score:** 9/10\n", 9), ("Score: [10]", 10), ("score - 0.", 0),
        ("Score: 3, no: Score: 7", 7), ("Score: 9\nThat is all.", None), ("9", None), ("", None),
        ("Score: 9.5", None), ("Score: 11", None), ("Score: nine", None), ("Underscore: 9", None),
    ],
)  # fmt: skip
def test_the_last_line_has_the_score(text, score) -> None:
    assert final_score(text) == score
