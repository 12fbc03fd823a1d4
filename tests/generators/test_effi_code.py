import json

import pytest

from gristmill.engines.requests import Completion
from gristmill.engines.sandbox import Verdict
from gristmill.generators.effi_code import EffiCode
from gristmill.pipelines import Drop

SLOW = "def total(n):\n    s = 0\n    for i in range(n + 1):\n        s += i\n    return s"
FAST = "def total(n):\n    return n * (n + 1) // 2"
WRONG = "def total(n):\n    return n * (n + 1) / 2 + 1"
SLOWER = "def total(n):\n    return [sum(range(n + 1)) for _ in range(6)][0]"
TESTS = "assert total(4) == 10\nassert total(3000) == 4501500"
ROW = {"instruction": "Sum up to n.", "output": f"```python\n{SLOW}\n```", "tests": TESTS}


def block(code: str) -> str:
    return f"```python\n{code}\n```"


def test_only_right_and_cheaper_programs_are_taken(ask, script, sandbox) -> None:
    table = {
        f"### Program\n{SLOW}\n": [block(FAST)],
        f"### Program\n{FAST}\n": [block(WRONG), block(SLOWER)],
    }
    engine = script(table)
    # What a program takes to start is little beside it, so that no load hides the gain.
    stage = EffiCode(rounds=3, runs=3, min_ms=60)
    row = ask(stage, ROW, {"generator": engine, "sandbox": sandbox})
    assert [version["correct"] for version in row["history"]] == [True, True, False, True]
    assert (row["best"], row["output"]) == (1, block(FAST))
    first, fast, wrong, slower = (version["tmu_mb_s"] for version in row["history"])
    assert fast < first < slower
    assert wrong is None
    assert row["speedup"] > 1
    assert row["tmu_ratio"] == fast / first < 0.95
    assert row["loops"] > 1
    shown = engine.calls[0].prompt[0]["content"]
    assert "### A test\nassert total(4) == 10\n" in shown
    assert "| s += i" in shown.split("### Cost")[1]


def said(status: str = "pass", **changes) -> Verdict:
    return Verdict(status, **changes)


def costs(*took: int) -> list[Verdict]:
    lines = json.dumps({"peak_mb": 10.0, "mean_mb": 10.0, "lines": []})
    profile = Verdict("pass", cells=[{"stdout": lines}])
    return [*(Verdict("pass", cpu_ms=t) for t in took), profile]


@pytest.mark.parametrize(
    ("took", "best"),
    [((100, 100), 0), ((96, 96), 0), ((90, 90), 1), ((120, 30), 0)],
)
def test_a_gain_within_noise_is_none_nor_is_the_same_code(ask, script, took, best) -> None:
    """(120, 30) has a median deviation of 45 ms: three times that is more than any gain."""
    first, second = costs(100, 100), costs(*took)
    engine = script(
        {
            "### Cost": [block(FAST)],
            (SLOW, TESTS): [said()],
            (FAST, TESTS): [said()],
            SLOW: first[:-1],  # the first also says how often tests are repeated
            FAST: second[:-1],
            "": [first[-1], second[-1]],
        }
    )
    row = ask(EffiCode(rounds=1, runs=2), ROW, engine)
    assert row["best"] == best


def test_results_on_further_inputs_must_not_change(ask, script, sandbox) -> None:
    row = {**ROW, "inputs": ["total(-3)", "total(7)"]}
    engine = script({"### Cost": [block(FAST)]})
    found = ask(
        EffiCode(rounds=1, runs=1, min_ms=1), row, {"generator": engine, "sandbox": sandbox}
    )
    assert [v["correct"] for v in found["history"]] == [True, False], "total(-3) is 0, then 3"
    assert (found["best"], found["speedup"], found["tmu_ratio"]) == (0, 1, 1)


@pytest.mark.parametrize(
    "reply", ["Sorry.", " ", "```python\n" + FAST, Completion(block(FAST), "length", 9, 9)]
)
def test_a_reply_without_a_program_changes_nothing(ask, script, sandbox, reply) -> None:
    engine = script({"### Cost": [reply]})
    stage = EffiCode(rounds=1, runs=1, min_ms=1)
    row = ask(stage, ROW, {"generator": engine, "sandbox": sandbox})
    assert (len(row["history"]), row["output"]) == (1, ROW["output"])


@pytest.mark.parametrize(
    ("output", "tests", "code"),
    [
        ("no block", TESTS, "no_code"),
        (block(WRONG), TESTS, "not_passing"),
        (block("import sys\nsys.exit(0)"), TESTS, "not_passing"),
        (block(SLOW), "total(1)", "not_passing"),
        (block(SLOW), "{tests} ### Program", "not_passing"),
    ],
)
def test_a_task_without_a_right_program_leaves(ask, script, sandbox, output, tests, code) -> None:
    row = {**ROW, "output": output, "tests": tests}
    drop = ask(EffiCode(), row, {"generator": script({}), "sandbox": sandbox})
    assert isinstance(drop, Drop)
    assert drop.code == code


@pytest.mark.parametrize(("later", "code"), [("fail", "flaky"), ("pass", "not_measured")])
def test_tests_that_do_not_always_pass_are_flaky(ask, script, later, code) -> None:
    runs = [said(), said(cpu_ms=60), said("fail"), said(later), said(later), said(later)]
    lines = Verdict("pass", cells=[{"stdout": '{"peak_mb": 1.0, "mean_mb": 1.0, "lines": []}'}])
    engine = script({SLOW: runs, "": [lines]})
    drop = ask(EffiCode(runs=2), ROW, {"generator": script({}), "sandbox": engine})
    assert drop.code == code
    assert code in EffiCode.codes
