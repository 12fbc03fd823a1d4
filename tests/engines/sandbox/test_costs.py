"""What programs cost: worked numbers, and slow and fast programs on the real sandbox."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from gristmill.engines.sandbox import Sandbox, Verdict
from gristmill.engines.sandbox.costs import Cost, Limits, loops_for, measure
from gristmill.engines.sandbox.profiling import profile, trapezoid


def test_memory_over_time_is_the_integral_by_trapezoids() -> None:
    assert trapezoid([(0, 10), (1, 20), (2, 20), (3, 10)]) == 50
    assert trapezoid([(0, 10), (2, 30)]) == 40
    assert trapezoid([(5, 10)]) == 0


@pytest.mark.parametrize(
    ("et_s", "noise", "below"),
    [
        (0.94, 0.0, True),
        (0.95, 0.0, False),
        (0.945, 0.02, False),
        (0.93, 0.02, True),
        (1, 0, False),
    ],
)
def test_less_is_less_by_more_than_noise(et_s, noise, below) -> None:
    assert Cost(et_s, noise, 9, 10, []).is_below(Cost(1.0, 0.0, 9, 10, [])) is below
    assert Cost(et_s, 0.0, 9, 10, []).is_below(Cost(1.0, noise, 9, 10, [])) is below


def test_a_program_that_costs_next_to_nothing_may_vary_much_for_its_size() -> None:
    assert Cost(0.003, 0.002, 9, 10, []).is_below(Cost(0.05, 0.003, 9, 10, []))


def told(*took: int | None) -> list[Verdict]:
    return [Verdict("pass", wall_ms=900, cpu_ms=t) if t else Verdict("fail") for t in took]


def seen(**costs: float) -> Verdict:
    stdout = json.dumps({"peak_mb": 12.0, "mean_mb": 11.0, "lines": [], **costs})
    return Verdict("pass", cells=[{"stdout": stdout}])


def answering(verdicts: list[Verdict]):
    left = list(verdicts)

    async def run(program):
        return left.pop(0)

    return run


def test_time_is_robust_and_from_outside() -> None:
    # Medians of the 15 means of two: 1000, 1100 five times and more; the run of 5000 moves nothing.
    run = answering([*told(1000, 1100, 1200, 1100, 5000, 1100), seen()])
    cost = asyncio.run(measure(run, "code", Limits("tests", 1, 6, 9)))
    assert (cost.et_s, cost.peak_mb, cost.tmu_mb_s) == (1.1, 12.0, pytest.approx(12.1))


def test_a_run_that_fails_leaves_no_cost() -> None:
    limits = Limits("tests", 1, 2, 9)
    assert asyncio.run(measure(answering([*told(9, None), seen()]), "code", limits)) is None
    broken = Verdict("timeout")
    assert asyncio.run(measure(answering([*told(9, 9), broken]), "code", limits)) is None


def test_short_tests_are_repeated_until_they_take_long_enough() -> None:
    assert asyncio.run(loops_for(answering(told(3, 12, 50)), "code", "tests", 50, 9)) == 16
    assert asyncio.run(loops_for(answering(told(None)), "code", "tests", 50, 9)) == 1


def test_a_profile_names_the_lines_that_cost() -> None:
    code = "def f(n):\n    kept = [0] * n\n    for i in range(n):\n        kept[i] = i\n"
    code += "    return sum(kept)"
    found = profile(code, "assert f(2000) == 1999000\nprint('x')", 2)
    assert found["peak_mb"] >= found["mean_mb"] > 1
    lines = {line: (text, hits) for line, text, hits, _, _ in found["lines"]}
    assert lines[4] == ("kept[i] = i", 2000)
    assert sum(share for *_, share, _ in found["lines"]) == pytest.approx(1)
    assert max(found["lines"], key=lambda row: row[4])[0] in (2, 4)


def tasks() -> list[tuple[str, str, str]]:
    """Return name, solution and tests of HumanEval, as functions that are called."""
    path = Path(os.environ.get("GRISTMILL_DATA", "")) / "human_eval/HumanEval.jsonl"
    if not path.is_file():
        pytest.skip("no GRISTMILL_DATA/human_eval")
    rows = map(json.loads, path.read_text().splitlines())
    return [
        (
            r["entry_point"],
            r["prompt"] + r["canonical_solution"],
            f"{r['test']}\ncheck({r['entry_point']})",
        )
        for r in rows
    ]


FOUR_TIMES = """

import copy
once = {name}

def {name}(*a):
    for _ in range(3):
        once(*copy.deepcopy(a))
    return once(*a)
"""


@pytest.mark.slow
def test_slow_variants_of_human_eval_are_dearer_than_fast_ones() -> None:
    async def costs() -> list[tuple[str, Cost | None, Cost | None]]:
        with Sandbox(1) as sandbox:
            found = []
            for name, code, tests in tasks()[:20]:
                slow = code + FOUR_TIMES.format(name=name)
                loops = await loops_for(sandbox.run, code, tests, 15, 10)
                limits = Limits(tests, loops, 2, 10)
                pair = [await measure(sandbox.run, text, limits) for text in (code, slow)]
                found.append((name, *pair))
            return found

    for name, fast, slow in asyncio.run(costs()):
        assert fast is not None, name
        assert slow is not None, name
        assert fast.tmu_mb_s < slow.tmu_mb_s, (name, fast, slow)
        assert not slow.is_below(fast), name
