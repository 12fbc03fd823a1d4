"""Mode stdio: a script gets input, and what it prints is compared outside."""

import pytest

from gristmill.engines.sandbox import Program, Sandbox
from gristmill.engines.sandbox.stdio import difference

DOUBLE = "print(int(input()) * 2)"


@pytest.mark.parametrize(
    ("expected", "found", "tolerance", "why"),
    [
        ("1 2\n3\n", "1 2  \r\n3", 0, None),
        ("1\n\n2", "1\n\n2\n\n\n", 0, None),
        ("1\n2", "1\n\n2", 0, "line 2: expected '2', found ''"),
        ("1", " 1", 0, "line 1: expected '1', found ' 1'"),
        ("1", "1\n2", 0, "line 2: expected the end, found '2'"),
        ("1\n2", "1", 0, "line 2: expected '2', found the end"),
        ("a b", "a  b", 0, "line 1: expected 'a b', found 'a  b'"),
        ("0.3", "0.30000000000000004", 0, "line 1: expected '0.3', found '0.30000000000000004'"),
        ("x 0.3", "x  0.30000000000000004", 1e-6, None),
        ("2e3", "2000.001", 1e-6, None),
        ("2e3", "2000.01", 1e-6, "line 1: expected '2e3', found '2000.01'"),
        ("0.5", "5e-1", 1e-6, None),
        ("3", "3.0000001", 1e-3, "line 1: expected '3', found '3.0000001'"),
        ("1.0", "nan", 1, "line 1: expected '1.0', found 'nan'"),
        ("1.0 2.0", "1.0", 1, "line 1: expected '1.0 2.0', found '1.0'"),
    ],
)
def test_lines_agree_but_for_white_space_at_their_end(expected, found, tolerance, why) -> None:
    assert difference(expected, found, tolerance) == why


@pytest.mark.parametrize(
    ("status", "code", "stdout"),
    [
        ("pass", DOUBLE, "14\n"),
        ("pass", f"if __name__ == '__main__':\n    {DOUBLE}", "14"),
        ("pass", f"import sys\n{DOUBLE}\nsys.exit()", "14"),
        ("pass", f"{DOUBLE}\nraise SystemExit(0)", "14"),
        ("pass", "import os\nos.write(1, b'14')\nos._exit(0)", "14"),
        ("fail", DOUBLE, "15"),
        ("fail", "", "14"),
        ("fail", "import sys\nsys.exit(0)", "14"),
        ("error", f"{DOUBLE}\nexit(3)", "14"),
        ("error", f"{DOUBLE}\nraise SystemExit('no')", "14"),
        ("error", f"{DOUBLE}\n1 / 0", "14"),
        ("error", "print(", "14"),
        ("weak_tests", "pass", " \n"),
        ("fail", DOUBLE, " \n"),
        ("missing_dependency", "import torch", "14"),
        ("timeout", f"{DOUBLE}\nwhile True: pass", "14"),
        ("output_limit", "while True: print(14)", "14"),
    ],
)
def test_a_script_is_judged_by_what_it_prints(sandbox: Sandbox, status, code, stdout) -> None:
    program = Program(code, stdin="7\n", stdout=stdout, timeout_s=1, memory_mb=128)
    (verdict,) = sandbox.run_all([program])
    assert verdict.status == status, verdict
    assert (verdict.verified_by or status) in ("stdio", "error")
    assert verdict.checks_passed == (status == "pass")


def test_what_it_should_print_is_never_sent_in(sandbox: Sandbox) -> None:
    spy = """
import gc
held = [o for o in gc.get_objects() if type(o) in (str, dict, list, tuple)]
print(any("".join(["4711-", "secret"]) in repr(o) for o in held))
"""
    (verdict,) = sandbox.run_all([Program(spy, stdin="x", stdout="4711-secret")])
    assert (verdict.status, verdict.stdout) == ("fail", "False\n"), verdict


def test_a_long_output_may_be_as_long_as_the_expected_one(sandbox: Sandbox) -> None:
    text = "x" * 99 + "\n"
    program = Program("for i in range(5000): print('x' * 99)", stdout=text * 5000)
    (verdict,) = sandbox.run_all([program])
    assert verdict.status == "pass", verdict.detail
