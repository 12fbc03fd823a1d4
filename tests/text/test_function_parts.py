import pytest

from gristmill.text.function_parts import calls, joined, outline, part

TASK = '''from typing import List

LIMIT = 3

def given(x):
    return x

def top(xs: List[int], k: int = 1) -> List[int]:
    """Return the k largest.

    >>> top([3, 1], 1)
    [3]
    assert top([]) == []
    >>> other(3)
    >>> top(
    """
'''
STUB = outline(TASK, "")["stub"]


def test_an_outline_has_the_stub_and_what_stands_around_it() -> None:
    found = outline(TASK, "top")
    assert found["name"] == "top"
    assert found["stub"].startswith("def top(xs: List[int], k: int=1) -> List[int]:\n")
    assert found["stub"].endswith("\n    raise NotImplementedError")
    assert found["context"].endswith("def given(x):\n    return x")
    assert found["known"] == ["given"]
    assert found["calls"] == ["top([3, 1], 1)", "top([])"]


@pytest.mark.parametrize("text", ["x = 1", "def f(", "def f(): 1\n\0", "(" * 5000, ""])
def test_what_has_no_function_has_no_outline(text) -> None:
    assert set(outline(text, "")) == {"error"}


def test_a_reply_is_divided_into_the_function_and_its_stubs() -> None:
    reply = '''import heapq
from typing import List

SIZE = 2

def top(xs: List[int], k: int = 1) -> List[int]:
    return order(xs)[:k]  # the first ones

def order(xs):
    """Return them sorted."""
    raise NotImplementedError

def given(x):
    raise NotImplementedError

print(top([1]))
'''
    found = part(reply, STUB, ["given"])
    assert found["imports"] == ["import heapq", "from typing import List"]
    assert set(found["stubs"]) == {"order"}
    assert '"""Return the k largest.' in found["code"], "a lost docstring comes back"
    assert "SIZE = 2" in found["code"]
    assert "print" not in found["code"]


def test_a_function_with_its_docstring_stays_as_it_was_written() -> None:
    code = 'def top(xs, k=1):\n    """Mine."""\n    return xs[:k]  # the first ones'
    assert part(code, STUB, []) == {"code": code, "imports": [], "stubs": {}}


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("def top(xs, k=1): pass", "top is still open"),
        ("def top(xs, k=1):\n    'It.'\n    raise NotImplementedError()", "top is still open"),
        ("def top(xs): return 1", "another signature: xs"),
        ("def top(xs, k): return 1", "another signature: xs, k"),
        ("async def top(xs, k=1): return 1", "another signature: xs, k=1"),
        ("def other(): return 1", "0 functions top"),
        ("def top(xs, k=1): return 1\n" * 2, "2 functions top"),
    ],
)
def test_a_reply_that_implements_something_else_says_why(code, why) -> None:
    assert part(code, STUB, []) == {"error": why}
    assert part("def top(", STUB, [])["error"].startswith("SyntaxError")


def test_only_calls_of_the_function_are_inputs() -> None:
    text = "f(1)\nprint(f(2))\nf([3], k='a') == 4\nx = f(5)\ng(6)\nf"
    assert calls(text, "f") == ["f(1)", "f([3], k='a')"]
    assert calls("f(1)\nf(2\nf(3)", "f") == ["f(1)", "f(3)"], "a broken line spoils no other"
    assert calls("f(", "f") == []


def test_imports_of_all_functions_come_first_and_once() -> None:
    functions = [
        {"code": "def a(): 1", "imports": ["import re", "import os"]},
        {"code": "def b(): 2", "imports": ["import os"]},
    ]
    assert joined("x = 1", functions) == (
        "import re\nimport os\n\n\nx = 1\n\n\ndef a(): 1\n\n\ndef b(): 2"
    )
