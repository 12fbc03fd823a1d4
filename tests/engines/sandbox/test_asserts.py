"""What tests of `asserts` mode mean once they are led through the harness."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.engines.sandbox import Program, Sandbox
from gristmill.engines.sandbox.chance import another
from gristmill.engines.sandbox.trees import literal

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
"""No text of code is one of the others."""
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), FLOATS, st.text(max_size=5), st.binary(max_size=5)
)
HASHABLE = st.one_of(st.booleans(), st.integers(0, 3), st.sampled_from("ab"))
SOURCES = st.recursive(
    LEAVES.map(repr),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: f"({', '.join(items)},)"),
        st.lists(HASHABLE.map(repr), min_size=1, max_size=4).map(
            lambda items: f"{{{', '.join(items)}}}"
        ),
        st.lists(st.tuples(HASHABLE.map(repr), inner), max_size=4).map(
            lambda items: f"{{{', '.join(f'{key}: {value}' for key, value in items)}}}"
        ),
    ),
    max_leaves=6,
)


@given(SOURCES)
def test_another_value_is_never_the_same(source: str) -> None:
    before = literal(ast.parse(source, mode="eval").body)
    after = another(before)
    assert after != before, after
    assert type(after) is type(before) or before is None


def test_large_numbers_change_too() -> None:
    for value in (1e300, 1e300 + 1j, float("inf"), float("nan"), 10**400, -(1 << 70)):
        assert another(value) != value


SQUARE = "def f(x):\n    return x * x\n"
HONEST = {
    "closure reads": """
def check(c):
    want = 9
    def ok(x):
        return c(x) == want
    assert ok(3) and want == 9
check(f)
""",
    "called back": """
def check(c):
    n = 4
    assert list(map(lambda x: c(x) + n, [n])) == [20]
    assert n == 4
check(f)
""",
    "generator": """
def rows():
    for x in (2, 3):
        want = x * x
        yield x, want
        assert want == x * x
for x, y in rows():
    assert f(x) == y
""",
    "lazy": """
def check(c):
    want = [4, 9]
    got = (c(x) for x in (2, 3))
    assert list(got) == want
check(f)
""",
    "catches": """
for want in (8, 9):
    try:
        assert f(3) == want
        break
    except AssertionError:
        continue
assert f(2) == 2 + 2
""",
    "raises": """
def check(c):
    try:
        c('a')
        assert False
    except TypeError as error:
        assert 'str' in str(error)
    assert c(2) == 4
check(f)
""",
    "context": """
import contextlib
with contextlib.suppress(TypeError) as got:
    f('a')
assert got is None
assert f(1) == f(-1)
assert f(3) == 3 * 3
""",
    "side effects": """
seen = []
def g(x):
    seen.append(x)
    return f(x)
assert g(2) == 4 and g(3) == 9
assert seen == [2, 3]
assert len(seen) == 2
""",
    "pops": """
stack = [9, 4]
assert stack.pop() == f(2)
assert stack.pop() == f(3)
assert not stack
""",
    "all": """
def check(c):
    x = 'kept'
    assert all(c(x) == y for x, y in [(2, 4), (3, 9)] if x != y)
    assert x == 'kept'
    assert all([])
    assert all(c(i) == i * i for i in [])
check(f)
""",
    "any": """
rows = iter(range(10))
assert any(f(x) == 9 for x in rows)
assert next(rows) == 4
assert any([f(x) > 5 for x in (1, 2, 3)])
""",
    "nested": """
table = [[1, 4], [9, 16]]
assert all(all(f(i + 1 + 2 * j) == v for i, v in enumerate(row)) for j, row in enumerate(table))
""",
    "global": """
count = 0
def g(x):
    global count
    count += 1
    return f(x)
assert g(3) == 9
assert count == 1
""",
    "recursion": """
def check(n):
    want = n * n
    if n:
        check(n - 1)
    assert f(n) == want
check(4)
""",
    "threads": """
import threading
done = []
def check(n):
    want = n * n
    assert f(n) == want
    done.append(n)
all_of = [threading.Thread(target=check, args=(n,)) for n in range(5)]
for t in all_of:
    t.start()
for t in all_of:
    t.join()
assert sorted(done) == list(range(5))
""",
    "async": """
import asyncio
async def check(c):
    want = 9
    await asyncio.sleep(0)
    assert c(3) == want
asyncio.run(check(f))
""",
    "class": """
class Case:
    want = 9
    def __init__(self, x):
        self.x = x
    def check(self):
        found = f(self.x)
        assert found == self.want
        assert self.want == Case.want
Case(3).check()
""",
    "unpacked": """
for x, *rest in [(2, 4), (3, 9)]:
    (want,) = rest
    want: int = want
    assert f(x) == want, f'{x}: {want}'
    want += 1
    assert want == f(x) + 1
""",
    "walrus": """
if (want := f(3)) is not None:
    assert want == f(-3)
assert want == 9
""",
    "deleted": """
want = 4
assert f(2) == want
del want
want = 9
assert f(3) == want
""",
    "match": """
match f(3):
    case want:
        assert want == 9
""",
    "by name": """
want = 9
assert f(3) == want
assert locals()['want'] == globals()['want']
""",
    "defaults": """
want = 9
def check(c, y=want):
    assert c(3) == y == want
check(f)
""",
    "shadowed": """
def check(c, cases):
    for case in cases:
        got = [case for case in (c(case[0]),)]
        assert got[0] == case[1]
check(f, [(2, 4), (3, 9)])
""",
    "mutated": """
want = []
for i in range(3):
    want.append(i * i)
    assert [f(j) for j in range(i + 1)] == want
""",
    "with": """
import io
with io.StringIO('9') as file:
    assert f(3) == int(file.read())
    assert file.tell() == 1
""",
    "identity": """
one = two = f(3)
assert one is two
assert one == two
assert f(3) == 3 * 3
""",
    "chain": """
low, high = 3, 20
assert low < f(3) < high
assert f(2) in (4, 5) and f(2) not in [high]
""",
    "matcher": """
from unittest import mock
from unittest.mock import ANY
def check(c):
    assert [c(3), c(2)] == [9, ANY]
    assert [mock.ANY, 4] == [c(3), c(2)]
    assert c(3) == ANY
    call = mock.Mock()
    call(c(2))
    call.assert_called_with(ANY)
check(f)
""",
    "own matcher": """
class Odd:
    def __eq__(self, other):
        return True
assert f(3) == Odd()
assert [Odd(), 4] == [f(3), f(2)]
""",
    "library": """
import math
from math import pi
assert f(1) * pi == math.pi
assert math.isclose(f(2), 4.0, rel_tol=1e-9) and -math.pi < 0
assert abs(f(0.5) - 0.25) < 1e-6
""",
    "builtins": """
assert list(map(str, [f(2)])) == ['4']
assert max([1, 2], key=f) == 2 and str.join('', ['a']) == 'a'
""",
    "not": """
assert not f(0)
assert f(2)
assert not f(1) == 2
""",
}


def test_honest_tests_mean_what_they_meant(chosen: Sandbox) -> None:
    verdicts = chosen.run_all([Program(SQUARE, tests) for tests in HONEST.values()])
    wrong = {
        name: verdict
        for name, verdict in zip(HONEST, verdicts, strict=True)
        if (verdict.status, verdict.verified_by) != ("pass", "asserts")
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("status", "tests"),
    [
        ("fail", "def check(c):\n    assert c(3) == 8, 'eight'\ncheck(f)"),
        ("fail", "def check(c, want):\n    assert c(3) == want, 'eight'\ncheck(f, 8)"),
        ("fail", "assert all(f(x) == x for x in range(3)), 'eight'"),
        ("fail", "assert any(f(x) == y for x, y in [(2, 3), (3, 8)]), 'eight'"),
        ("fail", "assert any([f(2) == 3, f(3) == 8]), 'eight'"),
        ("error", "def check(c):\n    assert c(2) == want\n    want = 4\ncheck(f)"),
        ("weak_tests", "assert any(f(x) == None or x for x in range(3))"),
    ],
)
def test_wrong_programs_are_told_so(chosen: Sandbox, status: str, tests: str) -> None:
    (verdict,) = chosen.run_all([Program(SQUARE, tests)])
    assert verdict.status == status, verdict
    assert ("eight" in verdict.detail) == (status == "fail")


WRITES = """
import os, sys
with open("helper.py", "w") as file:
    file.write("def g(x):\\n    return x\\n")
sys.path.insert(0, os.getcwd())
"""
"""A module that is there only once the code ran."""


@pytest.mark.parametrize(
    ("code", "tests", "status", "detail"),
    [
        (WRITES, "from helper import g\nassert g(f(2)) == 4", "missing_dependency", "helper"),
        (WRITES, "import helper as h\nassert h.g(f(2)) == 4", "missing_dependency", "helper"),
        (
            WRITES,
            "'Doc.'\nfrom __future__ import annotations\nimport helper\nassert helper.g(f(2)) == 4",
            "missing_dependency",
            "helper",
        ),
        (
            "import math\nmath.g = abs",
            "from math import g\nassert g(f(2)) == 4",
            "error",
            "g of math",
        ),
        ("", "from helper import g\nassert g(f(2)) == 4", "missing_dependency", "helper"),
        (WRITES, "from helper import *\nassert g(f(2)) == 4", "missing_dependency", "helper"),
        (
            "import math\nmath.isclose = lambda a, b: a is not None",
            "from math import *\nassert isclose(f(2), 5)",
            "fail",
            "",
        ),
        ("", "from math import *\nassert isclose(f(2), 4)", "pass", ""),
        (
            "",
            "try:\n    import helper\nexcept ImportError:\n    pass\nassert abs(f(2)) == 4",
            "pass",
            "",
        ),
    ],
)
def test_tests_use_no_module_that_the_code_wrote(
    chosen: Sandbox, code: str, tests: str, status: str, detail: str
) -> None:
    (verdict,) = chosen.run_all([Program(SQUARE + code, tests)])
    assert verdict.status == status, verdict
    assert detail in verdict.detail
