"""pass@k and eff@k against worked numbers, their closed forms and brute force."""

import math
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.engines.sandbox import Program, Sandbox
from gristmill.engines.sandbox.metrics import (
    eff_at_k,
    efficiency,
    hodges_lehmann,
    level_efficiency,
    pass_at_k,
    time_limit,
)
from tests.engines.sandbox.test_attacks import groups

scores = st.lists(st.floats(0, 3), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("n", "c", "k", "expected"),
    [(10, 3, 1, 0.3), (10, 3, 5, 0.916667), (5, 3, 2, 0.9), (5, 4, 2, 1), (200, 1, 100, 0.5),
     (5, 0, 5, 0), (1, 1, 1, 1)],
)  # fmt: skip
def test_pass_at_k_of_worked_cases(n, c, k, expected) -> None:
    assert pass_at_k(n, c, k) == pytest.approx(expected, abs=1e-6)


def test_pass_at_k_is_its_closed_form() -> None:
    for n in (1, 2, 7, 50, 200):
        for c in {0, 1, n // 3, n - 1, n}:
            for k in {1, (n + 1) // 2, n}:
                closed = 1 - math.comb(n - c, k) / math.comb(n, k)
                assert pass_at_k(n, c, k) == pytest.approx(closed, abs=1e-12)


@pytest.mark.parametrize(("n", "c", "k"), [(5, 3, 6), (5, 3, 0), (5, 6, 1), (5, -1, 1), (0, 0, 1)])
def test_pass_at_k_is_undefined_outside(n, c, k) -> None:
    with pytest.raises(ValueError, match="1 <= k <= n"):
        pass_at_k(n, c, k)


@pytest.mark.parametrize(
    ("values", "k", "expected"),
    [((0.2, 0.5, 0.9), 1, 0.533333), ((0.2, 0.5, 0.9), 2, 0.766667), ((0.9, 0.2, 0.5), 3, 0.9),
     ((0, 0, 1, 1, 1), 2, 0.9)],
)  # fmt: skip
def test_eff_at_k_of_worked_cases(values, k, expected) -> None:
    assert eff_at_k(values, k) == pytest.approx(expected, abs=1e-6)


@given(scores)
def test_eff_at_k_is_the_mean_best_of_all_subsets_and_grows_with_k(values) -> None:
    found = [eff_at_k(values, k) for k in range(1, len(values) + 1)]
    for k, value in enumerate(found, 1):
        best = [max(chosen) for chosen in combinations(values, k)]
        assert value == pytest.approx(sum(best) / len(best), abs=1e-12)
    assert all(b >= a - 1e-12 for a, b in pairwise(found))


def test_eff_at_k_of_right_and_wrong_is_pass_at_k() -> None:
    for n in (1, 5, 200):
        for c in {0, n // 2, n}:
            for k in {1, (n + 1) // 2, n}:
                values = [1.0] * c + [0.0] * (n - c)
                assert eff_at_k(values, k) == pytest.approx(pass_at_k(n, c, k), abs=1e-12)


@pytest.mark.parametrize(("values", "k"), [([], 1), ([1.0], 2), ([1.0], 0), ([math.nan], 1)])
def test_eff_at_k_is_undefined_outside(values, k) -> None:
    with pytest.raises(ValueError, match="eff@k needs"):
        eff_at_k(values, k)


def test_one_slow_repetition_moves_a_time_little() -> None:
    assert hodges_lehmann((1, 1.1, 1.2, 1.1, 5, 1)) == pytest.approx(1.1)
    assert hodges_lehmann([2.0]) == 2.0
    with pytest.raises(ValueError, match="found none"):
        hodges_lehmann([])


REFERENCES = [[1.0, 1.0], [2.0, 1.0], [4.0], [5.0, 3.0]]


def test_the_limit_is_twice_the_slowest_reference_and_a_level_counts_its_slowest_test() -> None:
    assert time_limit(REFERENCES) == 10
    assert level_efficiency([1.0, 2.0], [2.0, 1.0], 10) == 1
    assert level_efficiency([6.0, 1.0], [2.0, 1.0], 10) == 0.5
    assert level_efficiency([1.0], [2.0], 10) == 1.125, "faster than the reference"
    assert level_efficiency([11.0], [2.0], 10) == 0
    with pytest.raises(ValueError, match="raise alpha"):
        level_efficiency([1.0], [10.0], 10)


def test_a_sample_as_fast_as_the_reference_scores_one() -> None:
    assert efficiency(REFERENCES, REFERENCES) == 1
    assert efficiency(REFERENCES, REFERENCES, is_correct=False) == 0


def test_a_time_out_costs_its_level_and_all_later_ones() -> None:
    slow = [[1.0], [2.0], [4.0], None]
    assert efficiency(slow, REFERENCES) == pytest.approx(0.6)
    assert efficiency([[1.0], [2.0], None, [1.0]], REFERENCES) == pytest.approx(0.3)
    assert efficiency([None, [2.0], [4.0], [5.0]], REFERENCES) == 0
    half = [[1.0], [6.0], [7.0], [7.5]]
    assert efficiency(half, REFERENCES) == pytest.approx(0.5)


def test_a_machine_twice_as_slow_gives_the_same_score() -> None:
    half = [[1.0], [6.0], [7.0], [7.5]]
    slower = [[7 * t for t in level] for level in half]
    references = [[7 * t for t in level] for level in REFERENCES]
    assert efficiency(slower, references) == pytest.approx(efficiency(half, REFERENCES))


def test_levels_must_match() -> None:
    with pytest.raises(ValueError, match="a level has one each"):
        efficiency(REFERENCES[:3], REFERENCES)


def test_cpu_time_is_that_of_all_processes_and_sleep_is_none(sandbox: Sandbox) -> None:
    burn = "import time\ndef f(s):\n    end = time.process_time() + s\n"
    burn += "    while time.process_time() < end: pass\n    return 1"
    nap = "import time\ndef f(s):\n    time.sleep(s)\n    return 1"
    child = f"{burn}\nimport os\ndef g(s):\n    pid = os.fork()\n    if not pid:\n"
    child += "        f(s)\n        os._exit(0)\n    os.waitpid(pid, 0)\n    return 1"
    burned, slept, forked = sandbox.run_all(
        [
            Program(burn, "assert f(0.3) == 1"),
            Program(nap, "assert f(0.3) == 1"),
            Program(child, "assert g(0.3) == 1"),
        ]
    )
    assert [v.status for v in (burned, slept, forked)] == ["pass"] * 3
    if sandbox.backend == "bubblewrap" and not groups(sandbox):
        assert (burned.cpu_ms, slept.cpu_ms) == (None, None), "it does not collect its child"
        return
    assert 290 <= burned.cpu_ms < 700
    assert slept.cpu_ms < 200 <= slept.wall_ms
    assert 290 <= forked.cpu_ms < 700


def test_cpu_time_of_a_time_out_is_known_too(sandbox: Sandbox) -> None:
    (verdict,) = sandbox.run_all([Program("while True: pass", "assert 1", timeout_s=0.5)])
    assert verdict.status == "timeout"
    assert verdict.cpu_ms
    assert 30 <= verdict.cpu_ms < 1500, "others may have had most of the time"
