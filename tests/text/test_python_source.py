import pytest

from gristmill.text.python_source import functions

SOURCE = '''
import math
import os
from collections import Counter, OrderedDict as Order
from . import near

SIZE: int = 3
LIMIT = SIZE + 1


def helper(x):
    return x * LIMIT


def area(radius):
    """Return the area of a circle."""
    def inner():
        return None
    return math.pi * helper(radius)


@cached
def unknown(x):
    """Uses a name that nothing defines."""
    return x


def count(*, words):
    r"""Count \\d words."""
    return Counter(words)


def here(path):
    """Uses a banned module."""
    return os.path.join(path)


def inside(path):
    """Imports a banned module itself."""
    import subprocess
    return subprocess


def relative(x):
    """Uses a relative import."""
    return near.f(x)


def unmarked(x):
    """Find the bug."""
    return x


def short(x):
    "One quote is not a docstring here."
    return x


def nothing():
    """Takes nothing."""
    return 1


def none(x):
    """Returns nothing."""
    def inner():
        return x
    return None


def bare(x):
    return x


async def waits(x):
    """Is no plain function."""
    return x


class Holder:
    def method(self, x):
        """Is no top-level function."""
        return x
'''


def found() -> dict[str, tuple[str | None, str]]:
    return {f.name: (f.why, f.code) for f in functions(SOURCE)}


def test_a_function_brings_along_what_it_uses_and_nothing_else() -> None:
    why, code = found()["area"]
    assert why is None
    assert code == (
        "import math\n\n\nSIZE: int = 3\n\n\nLIMIT = SIZE + 1\n\n\n"
        "def helper(x):\n    return x * LIMIT\n\n\n"
        'def area(radius):\n    """Return the area of a circle."""\n'
        "    def inner():\n        return None\n    return math.pi * helper(radius)\n"
    )
    assert found()["count"][1].startswith("from collections import Counter\n\n\ndef count(")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("count", None),
        ("helper", "no_docstring"),
        ("unknown", "undefined_name"),
        ("here", "banned_import"),
        ("inside", "banned_import"),
        ("relative", "relative_import"),
        ("unmarked", "marked_unfinished"),
        ("short", "no_docstring"),
        ("nothing", "no_arguments"),
        ("none", "no_return"),
        ("bare", "no_docstring"),
    ],
)
def test_each_rule_leaves_a_function_out(name: str, why: str | None) -> None:
    assert found()[name][0] == why


def test_only_plain_functions_at_the_top_are_looked_at() -> None:
    assert {"waits", "method", "inner"} & found().keys() == set()


@pytest.mark.parametrize(("lines", "why"), [(147, None), (148, "too_long")])
def test_a_function_has_at_most_150_lines(lines: int, why: str | None) -> None:
    body = "    x += 1\n" * lines
    (one,) = functions(f'def f(x):\n    """Add."""\n{body}    return x\n')
    assert one.why == why
    assert one.line == 1


def test_what_it_brings_along_runs() -> None:
    space: dict[str, object] = {}
    exec(found()["area"][1], space)
    assert space["area"](1.0) == pytest.approx(12.566, abs=0.001)  # type: ignore[operator]
