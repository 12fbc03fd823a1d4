"""On code of our own: what a model wrote is only parsed in the sandbox."""

import re

import pytest

from gristmill.text.code_facts import facts

CODE = '''"""Shapes."""
import os.path as p, numpy
from json.decoder import x
from . import beside
re = __import__("re")

def area(w, h):
    """Multiply."""
    def inner(a):
        return a if a and w or h else [b for b in a if b]
    return w * h

class Shape:
    def draw(self): ...
    @abstractmethod
    def size(self): pass

def _hidden():
    """Later."""
    raise NotImplementedError
'''


def test_it_says_what_code_is_made_of() -> None:
    found = facts(CODE)
    assert found["imports"] == ["json", "numpy", "os", "re"]
    assert found["stubs"] == ["_hidden", "draw"]
    assert found["undocumented"] == ["Shape"]
    # inner: 1, the conditional, two choices by words, the loop of the list; its `if` is part of it.
    assert found["complexities"] == {"area": 5, "inner": 5, "draw": 1, "size": 1, "_hidden": 1}


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("def f(:", "SyntaxError"),
        ("return 1", "'return' outside function"),
        ("\0", "null bytes"),
        ("(" * 500, "SyntaxError|MemoryError"),
        ("x = " + "-" * 100_000 + "1", "RecursionError|MemoryError"),
    ],
)
def test_what_does_not_compile_has_its_error(code, why) -> None:
    assert re.search(why, facts(code)["error"])


def test_a_warning_is_no_error() -> None:
    assert facts("x = 1 is 1\ny = '\\d'")["imports"] == []


@pytest.mark.parametrize(
    ("body", "stub"),
    [
        ("pass", True),
        ("...", True),
        ("'doc'", True),
        ("raise NotImplementedError('x')", True),
        ("return", False),
        ("raise ValueError", False),
    ],
)
def test_a_function_that_does_nothing_is_a_stub(body, stub) -> None:
    assert bool(facts(f"def f():\n    {body}")["stubs"]) == stub
