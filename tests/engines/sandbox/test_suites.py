"""Suites of `unittest` are judged as asserts are: nothing that the code can replace is called."""

import ast
import unittest

import pytest

from gristmill.engines.sandbox import Program, Sandbox
from gristmill.engines.sandbox.suites import flatten

SQUARE = "def f(x):\n    if x < 0:\n        raise ValueError\n    return x * x\n"
SUITE = """
import unittest

class TestF(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cases = [(3, 9), (4, 16)]

    def setUp(self):
        super().setUp()
        self.five = 5

    def test_values(self):
        self.assertEqual(f(self.five), 25, "a message")
        self.assertTrue(f(1) == 1, msg="a message")
        self.assertFalse(f(1) == 2)
        self.assertIn(f(2), [4, 5])
        self.assertIsNotNone(f(1))
        self.assertIsInstance(f(1), int)
        self.assertAlmostEqual(f(0.1), 0.01)
        self.assertAlmostEqual(f(0.1), 0.011, delta=0.01)

    def test_cases(self):
        for x, y in self.cases:
            with self.subTest(x=x):
                self.assertEqual(f(x), y)

    def test_errors(self):
        with self.assertRaises(ValueError):
            f(-1)
        self.assertRaises(ValueError, f, -2)

if __name__ == "__main__":
    unittest.main()
"""
CHECKS = 9

HELPERS = """
import unittest

class TestF(unittest.TestCase):
    def twice(self, x=2):
        return 2 * x

    four = twice(None)

    def equal(self, x, y, *, by=0):
        self.assertEqual(f(x) + by, y)

    @staticmethod
    def nine():
        return 9

    def once(self, action):
        action()

    def passed_on(self):
        self.equal(self.four, 17, by=1)

    def test_helpers(self):
        self.equal(3, self.nine())
        self.equal(*[4, 16])
        self.equal(y=16 + self.twice(0), x=4)
        self.once(self.passed_on)
"""


def test_a_suite_may_call_its_own_methods_in_every_way(sandbox: Sandbox) -> None:
    (verdict,) = sandbox.run_all([Program(SQUARE, HELPERS)])
    assert (verdict.status, verdict.verified_by) == ("pass", "asserts"), verdict


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (SQUARE, "pass"),
        (SQUARE.replace("x * x", "x + x"), "fail"),
        (SQUARE.replace("raise ValueError", "pass"), "fail"),
        (SQUARE.replace("ValueError", "KeyError"), "error"),
    ],
)
def test_a_suite_is_judged_by_all_of_its_checks(sandbox: Sandbox, code: str, status: str) -> None:
    (verdict,) = sandbox.run_all([Program(code, SUITE)])
    assert (verdict.status, verdict.verified_by) == (status, "asserts"), verdict
    assert verdict.checks_total == CHECKS


@pytest.mark.parametrize(
    ("check", "holds"),
    [
        ("assertEqual(1, 1.0)", True),
        ("assertEqual([1], (1,))", False),
        ("assertNotEqual(1, 2)", True),
        ("assertIs(None, None)", True),
        ("assertIsNone([])", False),
        ("assertNotIn(3, [1])", True),
        ("assertGreaterEqual(2, 3)", False),
        ("assertLess(2, 3)", True),
        ("assertAlmostEqual(1, 1.00000004)", True),
        ("assertAlmostEqual(1, 1.00000006)", False),
        ("assertAlmostEqual(1, 1.04, 1)", True),
        ("assertAlmostEqual(1, 1.06, places=1)", False),
        ("assertAlmostEqual(1, 3, delta=2)", True),
        ("assertDictEqual({1: 2}, {1: 3})", False),
        ("assertRaises(KeyError, {}.pop, 1)", True),
        ("assertRaises(ValueError, print, end='')", False),
        ("fail('always')", False),
    ],
)
def test_a_check_holds_when_that_of_unittest_does(check: str, holds: bool) -> None:
    text = f"class T(unittest.TestCase):\n    def test_it(self):\n        self.{check}\n"
    space = {"unittest": unittest}
    exec(text, space)
    assert space["T"]("test_it").run().wasSuccessful() is holds  # type: ignore[operator]
    tree = flatten(ast.parse(text))
    assert tree
    try:
        exec(compile(tree, "tests.py", "exec"), {"unittest": unittest})
    except AssertionError:
        assert not holds
    else:
        assert holds


@pytest.mark.parametrize(
    "line",
    [
        "self.assertRaisesRegex(ValueError, 'x', int, 'x')",
        "self.addCleanup(print)",
        "check(self)",
        "with self.assertRaises(ValueError) as caught: pass",
        "self.assertEqual(1, 1, surprise=2)",
    ],
)
def test_a_suite_that_asks_for_more_stays_as_it_is(line: str) -> None:
    text = f"class T(unittest.TestCase):\n    def test_it(self):\n        {line}\n"
    assert flatten(ast.parse(text)) is None


@pytest.mark.parametrize(
    "text",
    [
        "class T(unittest.TestCase):\n    pass\nunittest.TextTestRunner().run(T)",
        "class T(unittest.TestCase):\n    @unittest.skip('x')\n    def test_it(self): pass",
        "class T(unittest.TestCase):\n    def test_it(this): this.assertEqual(1, 1)",
        "class T(unittest.IsolatedAsyncioTestCase):\n    pass\nunittest.main()",
        "class T(unittest.TestCase):\n    async def test_it(self): pass",
    ],
)
def test_a_suite_that_is_run_in_another_way_stays_as_it_is(text: str) -> None:
    assert flatten(ast.parse(text)) is None
