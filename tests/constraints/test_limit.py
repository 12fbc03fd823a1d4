"""No check hangs: not in the main thread, not in another one, not in a worker of Ray."""

import math
import multiprocessing
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest

from gristmill import limit
from gristmill.constraints.catalogue import (
    IFEVAL,
    KINDS,
    Constraint,
    check,
    check_all,
    check_both,
    constraint,
)
from gristmill.constraints.ifeval import no_comma
from gristmill.constraints.kinds import Kind
from gristmill.constraints.mul_dim import MUL_DIM
from gristmill.engines import cluster
from gristmill.errors import GristmillError, InputError
from gristmill.verifiers.constraints import Constraints

TEXT = "a" * 40 + "b"
"""Of no interest to any check of the catalogue, and a matter of hours for the planted pattern."""
FILE = limit.__file__
STOPPED = ("timeout", "stopped after 0.2 s of processor time")
COMMA = constraint("punctuation:no_comma", {})


@pytest.fixture(scope="module", autouse=True)
def planted():
    """Have the planted types for these tests alone."""
    module = import_module("tests.constraints.planted")
    KINDS.update(module.PLANTED)
    yield module
    for cid in module.PLANTED:
        del KINDS[cid]


@pytest.fixture
def own(monkeypatch):
    """Plant a check as if the catalogue had had it from the beginning."""

    def plant(check_):
        def copy(text: str):
            return check_(text)

        copy.__module__ = no_comma.__module__
        monkeypatch.setitem(KINDS, "planted:own", Kind(copy, "Be planted."))
        return constraint("planted:own", {})

    return plant


@pytest.mark.parametrize("name", ["pattern", "loop"])
def test_a_signal_ends_a_check_of_the_catalogue_in_the_main_thread(own, planted, name) -> None:
    assert check(own(getattr(planted, name)), TEXT, limit_s=0.2) == STOPPED
    assert check(COMMA, "a b") == ("pass", "0")
    assert_at_rest()


def assert_at_rest() -> None:
    """A signal that another thread held back does nothing, and no other one is to come."""
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) != signal.SIG_DFL, "it would end the program"
    signal.raise_signal(signal.SIGVTALRM)


def test_a_signal_at_any_moment_ends_the_answer_or_nothing() -> None:
    """At every line of the module in turn, as one that comes when an answer is already there."""
    assert check(COMMA, "a b").passed, "the handler is there from now on"
    tracing, outcomes, n = sys.gettrace(), set(), 0

    def at_line(frame, event, _):
        nonlocal left
        left -= event == "line"
        if event == "line" and left == 0:
            signal.raise_signal(signal.SIGVTALRM)
        return at_line

    left = 0
    while left <= 0:
        n += 1
        left = n
        sys.settrace(lambda frame, *_: at_line if frame.f_code.co_filename == FILE else None)
        try:
            found = check(COMMA, "a b", limit_s=1e-6)
        finally:
            sys.settrace(tracing)
        outcomes.add(found.outcome)
        assert_at_rest()
    assert n > 20
    assert outcomes == {"pass", "timeout"}
    assert check(COMMA, "a b") == ("pass", "0"), "nobody took the signal for one of their own"


@pytest.mark.parametrize("limit_s", [0, -1, math.inf, math.nan])
def test_a_limit_that_is_none_is_refused(limit_s) -> None:
    with pytest.raises(InputError, match="a limit of"):
        check(COMMA, "a", limit_s=limit_s)


@pytest.mark.parametrize("strict", [True, False])
def test_every_type_of_the_catalogue_has_the_limit(monkeypatch, planted, strict) -> None:
    def astray(text: str, **_: object):
        return planted.pattern(text)

    astray.__module__ = no_comma.__module__
    for cid in [*IFEVAL, *MUL_DIM]:
        monkeypatch.setitem(KINDS, cid, Kind(astray, "", most=KINDS[cid].most))
        scope = "reasoning" if strict else "each_line"
        found = check(Constraint(cid, {}, scope), f"{TEXT}</think>", strict=strict, limit_s=0.01)
        assert found.outcome == "timeout", cid


@pytest.mark.parametrize("name", ["pattern", "builtin", "sleep"])
def test_the_kernel_ends_any_check_in_any_thread(name) -> None:
    with ThreadPoolExecutor(1) as pool:
        one = constraint(f"planted:{name}", {})
        found = pool.submit(check, one, TEXT, limit_s=0.2).result(60)
    assert found == (("timeout", "stopped after 0.2 s of sleep") if name == "sleep" else STOPPED)


def test_the_others_asked_with_it_have_their_verdicts() -> None:
    wanted = [COMMA, constraint("planted:pattern", {})]
    found = check_all(wanted, [TEXT, "b, c", ""], limit_s=0.2)
    assert [[one.outcome for one in verdicts] for verdicts in found] == [
        ["pass", "timeout"], ["fail", "fail"], ["fail", "fail"]
    ]  # fmt: skip


def test_both_ways_are_asked_for_together_and_fail_apart(own, planted) -> None:
    wanted = [COMMA, own(planted.pattern), constraint("startend:quotation", {})]
    found = check_both(wanted, f"x,\n{TEXT}", limit_s=0.2)
    assert [[one.outcome for one in verdicts] for verdicts in found] == [
        ["fail", "timeout", "fail"], ["pass", "timeout", "fail"]
    ]  # fmt: skip
    assert check_both([COMMA], " ") == ([("fail", "no response")], [("fail", "no response")])


def test_a_row_whose_check_met_the_limit_says_so_and_has_not_passed() -> None:
    bad = {"cid": "planted:pattern", "params": {}}
    good = {"cid": COMMA.cid, "params": {}}
    stage = Constraints(limit_s=0.2)
    found = stage({"output": TEXT, "constraints": [good, bad]})
    assert (found["passed"], found["status"], found["reward"]) == (None, "timeout", 1)
    assert (found["strict"], found["loose"]) == ([True, None], [True, None])
    assert found["detail"] == "planted:pattern: stopped after 0.2 s of processor time"


def test_another_end_of_the_process_is_an_error_and_a_fault_is_raised(capfd) -> None:
    found = check(constraint("planted:killed", {}), "a")
    assert found == ("error", "its process was ended, twice: -9")
    with pytest.raises(GristmillError, match="judging failed; the traceback is in the log"):
        check(constraint("planted:faulty", {}), "a")
    assert "ValueError: a" in capfd.readouterr().err


def test_a_limit_is_of_the_answering_thread_and_not_of_others(own) -> None:
    """The timer of a signal counts all threads of a process."""
    sums = []

    def busy(text: str):
        end = time.thread_time() + 0.15
        while time.thread_time() < end:
            sums.append(0)
        return no_comma(text)

    with ThreadPoolExecutor(3) as pool:
        others = [pool.submit(busy, "") for _ in range(3)]
        assert check(own(busy), "a", limit_s=0.3) == ("pass", "0")
        assert all(one.result() for one in others)


def test_a_signal_that_somebody_waits_for_is_left_to_them(own) -> None:
    seen = []
    signal.signal(signal.SIGVTALRM, lambda *_: seen.append(1))
    try:
        assert check(COMMA, "a, b", limit_s=0.2) == ("fail", "1")
        signal.raise_signal(signal.SIGVTALRM)
    finally:
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)
    assert seen == [1]


def _forked(line) -> None:
    with ThreadPoolExecutor(1) as pool:
        line.send(pool.submit(check, COMMA, "a, b").result())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_asks_a_process_of_its_own() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(check, COMMA, "a").result().passed
    ours, theirs = multiprocessing.Pipe()
    forked = multiprocessing.get_context("fork").Process(target=_forked, args=(theirs,))
    forked.start()
    forked.join(60)
    assert ours.recv() == ("fail", "1")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(check, COMMA, "a").result().passed


@pytest.mark.slow
def test_a_worker_of_ray_ends_a_check_in_the_thread_of_its_rows() -> None:
    import ray

    @ray.remote(num_cpus=0)
    class Worker:
        async def judge(self, path):
            sys.path[:] = path
            import_module("tests.constraints.planted")
            wanted = [constraint("planted:pattern", {}), COMMA]
            is_main = threading.current_thread() is threading.main_thread()
            return is_main, check_all(wanted, [TEXT], limit_s=0.2)[0]

    cluster.connect()
    try:
        found = ray.get(Worker.remote().judge.remote(sys.path), timeout=120)
    finally:
        cluster.release()
    assert found == (False, [STOPPED, ("pass", "0")])
