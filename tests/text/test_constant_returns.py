import pytest

from gristmill.text.constant_returns import knows


@pytest.mark.parametrize(
    ("body", "known"),
    [
        ("return a + b", False),
        ("return 72", True),
        ("return float(70 + 2)", True),
        ("return 72 if a == 48 else a * 2", True),
        ("result = 72\n    return result", True),
        ("if a == 48:\n        return 72.0\n    return a + b", True),
        ("if not a:\n        return 0\n    return a + b", False),
        ("half = 72\n    return half + a", False),
        ("return -(-72)", True),
        ("return 9 ** 9 ** 9 ** 9", False),
        ("return 1 / 0", False),
        ("return 'a' + 1", False),
    ],
)
def test_an_answer_without_any_variable_is_known_by_heart(body, known) -> None:
    assert knows(f"def solve(a, b):\n    {body}\n", 72) is known
