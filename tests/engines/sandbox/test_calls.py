"""Mode calls: what a program gives for inputs, with nothing to compare it to."""

from gristmill.engines.sandbox import Program, Sandbox

CODE = """
def f(x, y=1):
    if x < 0:
        raise KeyError(x)
    return x * y
def g(x):
    return lambda: x
if __name__ == "__main__":
    f(int(input()))
"""


def test_every_call_gives_a_value_or_says_why_not(sandbox: Sandbox) -> None:
    calls = ("f(2, 3)", "g.__name__", "f(-1)", "g(1)", "f(", "f(2.5)", "exit()", "{f(1): [True]}")
    (verdict,) = sandbox.run_all([Program(CODE, calls=calls)])
    assert verdict.values == [
        ["i", "0x6"],
        ["s", "g"],
        ["!", "KeyError"],
        ["?", "function", 1],
        ["!", "SyntaxError"],
        ["f", "0x1.4000000000000p+1"],
        ["!", "NameError"],
        ["d", [["i", "0x1"], ["l", ["b", 1]]]],
    ]
    assert (verdict.status, verdict.verified_by, verdict.checks_total) == ("error", "calls", 8)
    assert verdict.detail == "call 2: KeyError"


def test_a_pass_means_that_each_gave_a_value(sandbox: Sandbox) -> None:
    (verdict,) = sandbox.run_all([Program(CODE, calls=("f(2)", " f(3)\n"))])
    assert (verdict.status, verdict.values) == ("pass", [["i", "0x2"], ["i", "0x3"]])
    assert verdict.checks_passed == 0, "nothing was checked"


def test_what_a_program_did_not_reach_is_none(sandbox: Sandbox) -> None:
    late = "import os\ndef f(x): return x if x else os._exit(0)\ndef g():\n    while True: pass"
    first, second, third, fourth = sandbox.run_all(
        [
            Program(late, calls=("f(1)", "f(0)", "f(2)")),
            Program(late, calls=("f(1)", "g()", "f(2)"), timeout_s=0.5),
            Program("import torch", calls=("f(1)",)),
            Program("def f(", calls=("f(1)",)),
        ]
    )
    assert (first.status, first.values) == ("error", [["i", "0x1"], None, None])
    assert (second.status, second.values) == ("timeout", [["i", "0x1"], None, None])
    assert (third.status, third.values) == ("missing_dependency", [None])
    assert (fourth.status, fourth.values) == ("error", [None])


def test_values_next_to_a_contradiction_are_not_believed(sandbox: Sandbox) -> None:
    forger = """
import os
def f(x):
    os.write(3, b"\\x00\\x00\\x00\\x02[]")
    return x
"""
    (verdict,) = sandbox.run_all([Program(forger, calls=("f(1)",))])
    assert (verdict.status, verdict.values) == ("forged", [])


def test_a_hostile_input_costs_only_its_own_value(sandbox: Sandbox) -> None:
    deep = "(" * 5000 + "1" + ")" * 5000
    calls = (deep, "(yield)", "__import__('os').getpid() and 1", "f(1)", "x\x00y", "await f(1)")
    (verdict,) = sandbox.run_all([Program("def f(x):\n    return x", calls=calls)])
    assert verdict.values[3] == ["i", "0x1"], verdict
    assert [value and value[0] for value in verdict.values] == ["!", "?", "i", "i", "!", "!"]
