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


BASE = "class Base:\n    def size(self):\n        raise NotImplementedError\n"


@pytest.mark.parametrize(
    ("code", "stubs"),
    [
        (BASE, ["size"]),
        (BASE + "class One(Base):\n    def size(self):\n        return 1\n", []),
        (BASE + "class One(Base):\n    def area(self):\n        return 1\n", ["size"]),
        (BASE + "class A(Base): ...\nclass B(A):\n    def size(self):\n        return 1\n", []),
        (BASE.replace("Base", "Base(Base)"), ["size"]),
        (
            BASE.replace("Base", "Base(Generic[T])")
            + "class One(Base[int]):\n    def size(self):\n        return 1\n",
            [],
        ),
        (BASE.replace("Base", "Base(ABC)"), []),
        (BASE.replace("Base", "Base(typing.Protocol[T])"), []),
        (BASE.replace("Base", "Base(metaclass=abc.ABCMeta)"), []),
        (BASE.replace("size(self)", "__exit__(self, *args)"), []),
        (BASE.replace("size(self)", "__init__(self)"), []),
        (BASE.replace("size(self)", "__init__(self, size)"), ["__init__"]),
    ],
)
def test_what_others_fill_in_is_no_stub(code, stubs) -> None:
    assert facts(code)["stubs"] == stubs


def test_an_overload_needs_no_docstring_of_its_own() -> None:
    code = "@overload\ndef f(x: int) -> int: ...\ndef f(x):\n    'Give it back.'\n    return x\n"
    assert facts(code)["undocumented"] == []


def test_a_package_is_imported_by_a_call_as_well() -> None:
    code = "import importlib\nx = importlib.import_module('os.path')\ny = __import__(name)"
    assert facts(code)["imports"] == ["importlib", "os"]


def test_a_list_of_checks_has_one_path() -> None:
    assert facts("def f(x):\n" + "    assert x\n" * 99)["complexities"] == {"f": 1}
