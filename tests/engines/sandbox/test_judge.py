"""The protocol without a sandbox: which frames are believed, and what a run's end outweighs."""

import json
from marshal import loads
from typing import Any

import pytest

from gristmill.engines.sandbox.asserts import DRAWN
from gristmill.engines.sandbox.frames import read
from gristmill.engines.sandbox.judge import judge
from gristmill.engines.sandbox.process import Limits, Outcome
from gristmill.engines.sandbox.program import Program
from gristmill.engines.sandbox.values import is_same, show

NONCE = "n" * 32
UP, END = ["up"], ["end", 2]
PLAN = ["plan", "values", 2, True, [["i", "0x9"], ["b", 1]]]
VALUES = [["value", 0, ["i", "0x9"]], ["value", 1, ["b", 1]]]


def pack(*frames: Any, nonce: str = NONCE) -> bytes:
    bodies = [json.dumps([nonce, *frame]).encode() for frame in frames]
    return b"".join(len(body).to_bytes(4, "big") + body for body in bodies)


class Replayed:
    """An executor that gives literal outcomes; every frame gets the nonce of the job."""

    def __init__(self, *runs: tuple[list[Any], dict[str, Any]]) -> None:
        self.runs = list(runs)

    def __call__(self, job: bytes, stdin: bytes, limits: Limits) -> Outcome:
        frames, changes = self.runs.pop(0)
        outcome = Outcome(**changes)
        outcome.output["frames"] += pack(*frames, nonce=job[:32].decode())
        return outcome


@pytest.mark.parametrize(
    ("frames", "changes", "status"),
    [
        ([UP, PLAN, *VALUES, END], {}, "pass"),
        ([UP, PLAN, ["value", 0, ["i", "0x8"]], VALUES[1], END], {}, "fail"),
        ([UP, PLAN, ["value", 0, ["?", "Liar"]], VALUES[1], END], {}, "error"),
        ([UP, PLAN, *VALUES], {}, "error"),
        ([UP, PLAN, *VALUES, END], {"code": 139}, "error"),
        ([UP, PLAN, *VALUES, END], {"code": 152}, "timeout"),
        ([UP, PLAN, *VALUES, END], {"end": "timeout"}, "timeout"),
        ([UP, PLAN, *VALUES, END], {"end": "oom"}, "oom"),
        ([UP, PLAN, *VALUES, END], {"end": "output_limit"}, "output_limit"),
        ([UP, PLAN, *VALUES, END], {"end": "processes"}, "error"),
        ([UP, PLAN, *VALUES, END], {"end": "infra"}, "infra_error"),
        ([], {"code": 1}, "infra_error"),
        ([UP], {"code": 1}, "error"),
        ([UP, ["unparsable", "code", "SyntaxError"]], {}, "error"),
        ([UP, PLAN, VALUES[0], ["end", 1]], {}, "forged"),
        ([UP, PLAN, *VALUES, ["end", 3]], {}, "forged"),
        ([UP, PLAN, *VALUES, VALUES[0], END], {}, "forged"),
        ([UP, PLAN, *VALUES, END, END], {}, "forged"),
        ([UP, PLAN, PLAN, *VALUES, END], {}, "forged"),
        ([UP, PLAN, ["value", 7, ["n"]], END], {}, "forged"),
        ([UP, PLAN, ["value", True, ["n"]], END], {}, "forged"),
        ([UP, PLAN, ["value", 0, "text"], END], {}, "forged"),
        ([UP, PLAN, ["check", 0], END], {}, "forged"),
        ([UP, *VALUES, END], {}, "forged"),
        ([UP, PLAN, ["raised", "AssertionError", "no", "", "tests", "tests.py"]], {}, "fail"),
        ([UP, PLAN, ["raised", "AssertionError", "no", "", "tests", "code.py"]], {}, "error"),
        ([UP, PLAN, ["raised", "KeyError", "x", "", "code", "code.py"]], {}, "error"),
        ([UP, PLAN, ["raised", "ModuleNotFoundError", "", "torch.nn", "code", ""]], {},
         "missing_dependency"),
        ([UP, PLAN, ["raised", "ModuleNotFoundError", "", "json.x", "code", ""]], {}, "error"),
    ],
)  # fmt: skip
def test_frames_and_endings_become_a_status(frames, changes, status) -> None:
    assert judge(Program("", ""), Replayed((frames, changes))).status == status


@pytest.mark.parametrize(
    ("value", "statuses"),
    [
        (["n"], ("fail", "pass")),
        (["b", 0], ("fail", "pass")),
        (["b", 1], ("pass", "fail")),
        (["i", "0x0"], ("fail", "pass")),
        (["i", "-0x2"], ("pass", "fail")),
        (["f", "-0x0.0p+0"], ("fail", "pass")),
        (["f", "nan"], ("pass", "fail")),
        (["c", "0x0.0p+0", "0x1.0p+0"], ("pass", "fail")),
        (["s", ""], ("fail", "pass")),
        (["y", "00"], ("pass", "fail")),
        (["d"], ("fail", "pass")),
        (["l", ["n"]], ("pass", "fail")),
        (["?", "Match", 1], ("pass", "fail")),
        (["?", "Node", 0], ("fail", "pass")),
        (["?", "Array"], ("error", "error")),
        (["i", "two"], ("fail", "fail")),
    ],
)
def test_the_truth_of_a_value_is_told_from_its_content(value, statuses) -> None:
    for wanted, status in zip((1, 0), statuses, strict=True):
        plan = ["plan", "values", 1, True, [["T", wanted]]]
        execute = Replayed(([UP, plan, ["value", 0, value], ["end", 1]], {}))
        assert judge(Program("", ""), execute).status == status


@pytest.mark.parametrize(
    "frames",
    [
        b"xxxxxxxx",
        b"\x00\x00\xff\xff[]",
        pack(["up"], nonce="m" * 32),
        (7).to_bytes(4, "big") + b"not json",
        (1 << 16).to_bytes(4, "big") + b"[" * (1 << 16),
        (6).to_bytes(4, "big") + b'["up"]',
    ],
)
def test_what_is_no_frame_is_a_contradiction(frames: bytes) -> None:
    assert read(frames, NONCE).contradiction
    assert read(pack(["up"]) + frames, NONCE).started


SAID = [["value", 0, ["i", "0x5"]], ["end", 1]]
ASSERTS = [UP, ["plan", "asserts", 1, False, [["i", "0x5"]]], *SAID]
TURNED = [UP, ["plan", "asserts", 1, False, [["i", "0x6"]]], *SAID]
FAILED = ["raised", "AssertionError", "", "", "tests", "tests.py"]
STOPPED = [*ASSERTS[:2], FAILED]


@pytest.mark.parametrize(
    ("stub", "again", "status"),
    [
        (STOPPED, ASSERTS, "pass"),
        (ASSERTS, ASSERTS, "weak_tests"),
        (STOPPED, TURNED, "forged"),
        (STOPPED, STOPPED, "fail"),
        (STOPPED, [*ASSERTS[:3]], "error"),
    ],
)
def test_a_pass_by_asserts_needs_a_failing_stub_and_a_second_run(stub, again, status) -> None:
    execute = Replayed((ASSERTS, {}), (stub, {}), (again, {}))
    verdict = judge(Program("", ""), execute)
    assert (verdict.status, verdict.checks_total, verdict.checks_passed) == (status, 1, 1)


def test_what_the_first_run_turns_round_the_second_does_not() -> None:
    jobs: list[dict[str, Any]] = []
    execute = Replayed((ASSERTS, {}), (STOPPED, {}), (ASSERTS, {}))

    def watched(job: bytes, stdin: bytes, limits: Limits) -> Outcome:
        jobs.append(loads(job[32:]))
        return execute(job, stdin, limits)

    assert judge(Program("", ""), watched).status == "pass"
    first, stub, second = (job["marks"] for job in jobs)
    assert (stub, first ^ second) == (0, (1 << DRAWN) - 1)
    assert first not in (0, (1 << DRAWN) - 1)


def test_a_check_that_never_ran_is_a_failed_one() -> None:
    frames = [UP, ["plan", "asserts", 2, False, [["i", "0x5"], ["i", "0x6"]]], *SAID]
    verdict = judge(Program("", ""), Replayed((frames, {})))
    assert (verdict.status, verdict.detail) == ("fail", "1 of 2 asserts never ran")


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        (["i", "0x4"], ["f", "0x1.0000000000000p+2"], True),
        (["i", "0x1"], ["b", 1], False),
        (["b", 1], ["i", "0x1"], True),
        (["b", 1], ["i", "0x2"], False),
        (["f", "nan"], ["f", "nan"], False),
        (["f", "inf"], ["f", "inf"], True),
        (["f", "inf"], ["f", "-inf"], False),
        (["f", "-0x0.0p+0"], ["f", "0x0.0p+0"], True),
        (["l", ["n"]], ["t", ["n"]], False),
        (["l", ["n"]], ["l", ["n"], ["n"]], False),
        (["l", ["b", 0]], ["l", ["i", "0x0"]], True),
        (["S", ["i", "0x1"], ["i", "0x2"]], ["S", ["i", "0x2"], ["i", "0x1"]], True),
        (["d", [["s", "a"], ["n"]]], ["d", [["s", "a"], ["n"]]], True),
        (["d", [["s", "a"], ["n"]]], ["d", [["s", "b"], ["n"]]], False),
        (["s", "a"], ["y", "a"], False),
        (["i", "0x4"], ["i", "junk"], False),
        (["i", "0x4"], ["i"], False),
        (["i", "0x4"], [[], []], False),
    ],
)
def test_values_are_equal_as_in_python_but_true_is_no_number(expected, found, same) -> None:
    assert is_same(expected, found) is same
    assert isinstance(show(found), str)


@pytest.mark.parametrize("end", ["timeout", "oom", "output_limit", "infra"])
def test_a_control_run_that_a_limit_ends_is_no_evidence_for_a_pass(end: str) -> None:
    ended = ([UP], {"end": end})
    status = "infra_error" if end == "infra" else end
    verdict = judge(Program("c", "t"), Replayed((ASSERTS, {}), ended, ended))
    assert verdict.status == status
    assert "None did not end" in verdict.detail
    verdict = judge(Program("c", "t"), Replayed((ASSERTS, {}), (STOPPED, {}), ended, ended))
    assert verdict.status == status
    assert "turned round did not end" in verdict.detail
    once = Replayed((ASSERTS, {}), ended, (STOPPED, {}), ended, (ASSERTS, {}))
    assert judge(Program("c", "t"), once).status == "pass"


@pytest.mark.parametrize(
    ("cpu_s", "starved_s", "durable"),
    [(0.1, 9.0, False), (5.1, 4.9, False), (0.0, 0.2, True), (9.8, 30.0, True)],
)
def test_a_time_out_that_contention_may_have_made_is_not_kept(cpu_s, starved_s, durable) -> None:
    ended = {"end": "timeout", "cpu_s": cpu_s, "starved_s": starved_s}
    verdict = judge(Program("c", "t"), Replayed(([UP, PLAN], ended)))
    assert (verdict.status, verdict.durable) == ("timeout", durable)
