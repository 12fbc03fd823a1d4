"""Sessions without a sandbox: which answers of cells are believed, and what a kill leaves."""

from typing import Any

import pytest

from gristmill.engines.sandbox.judge import judge
from gristmill.engines.sandbox.program import Program
from gristmill.engines.sandbox.watch import Limits, Outcome
from tests.engines.sandbox.test_judge import END, UP, Replayed

PLAN = ["plan", "cells", 2, False, []]
READY = ["ready"]
ONE, TWO = ["cell", 0, "1", None, ""], ["cell", 1, None, "KeyError: 2", ""]
MARKS = [{"stdout": 2, "stderr": 0}, {"stdout": 5, "stderr": 1}]
DONE = {"end": "done", "code": 137, "marks": MARKS}
FIRST = {"marks": MARKS[:1]}
HALF = b"\0\0\1\0[half"


class Typed(Replayed):
    """Replayed runs that also print, and may be cut off in the middle of a frame."""

    tail = b""

    def __call__(self, job: bytes, stdin: bytes, limits: Limits) -> Outcome:
        outcome = super().__call__(job, stdin, limits)
        outcome.marks = list(outcome.marks)
        outcome.output["stdout"] += b"a\nbcd\xff"
        outcome.output["stderr"] += b"ef"
        outcome.output["frames"] += self.tail
        return outcome


@pytest.mark.parametrize(
    ("frames", "changes", "status"),
    [
        ([UP, PLAN, READY, ONE, TWO], DONE, "error"),
        ([UP, PLAN, READY, ONE, ["cell", 1, "2", None, ""]], DONE, "pass"),
        ([UP, PLAN, READY, ONE, ["cell", 1, None, "", "torch.nn"]], DONE, "missing_dependency"),
        ([UP, PLAN, READY, ONE, ["cell", 1, None, "", "json.x"]], DONE, "error"),
        ([UP, PLAN, READY, ONE, TWO], {**DONE, "end": "oom"}, "oom"),
        ([UP, PLAN, READY, ONE, TWO], {**FIRST, "end": "output_limit"}, "output_limit"),
        ([UP, PLAN, READY, ONE], {**FIRST, "end": "timeout"}, "timeout"),
        ([UP, PLAN, READY, ONE], {**FIRST, "code": 152}, "timeout"),
        ([UP, PLAN, READY, ONE], {**FIRST, "end": "processes"}, "error"),
        ([UP, PLAN, READY, ONE], {**FIRST, "code": 139}, "error"),
        ([UP, PLAN, READY, ONE, TWO], {**FIRST, "end": "done"}, "forged"),
        ([UP, PLAN, READY, ONE, TWO, TWO], DONE, "forged"),
        ([UP, PLAN, READY, TWO, ONE], DONE, "forged"),
        ([UP, PLAN, READY, ONE, READY, TWO], DONE, "forged"),
        ([UP, PLAN, ONE, TWO], DONE, "forged"),
        ([UP, PLAN, READY, ONE, END], DONE, "forged"),
        ([UP, PLAN, READY, ONE, ["value", 1, ["n"]]], DONE, "forged"),
        ([UP, PLAN, READY, ONE, ["cell", 1, "2", "both", ""]], DONE, "forged"),
        ([UP, PLAN, READY, ONE, ["cell", 1, 2, None, ""]], DONE, "forged"),
        ([UP, PLAN, READY, ONE, ["cell", 1, "2"]], DONE, "forged"),
        ([UP, PLAN, READY, ["cell", True, "2", None, ""]], {**FIRST, "end": "timeout"}, "forged"),
        ([UP, PLAN, READY, ONE], {**FIRST, "end": "infra"}, "infra_error"),
        ([], {"code": 1}, "infra_error"),
    ],
)
def test_answers_and_endings_become_records(frames, changes, status) -> None:
    verdict = judge(Program("", cells=("a", "b")), Typed((frames, changes)))
    assert verdict.status == status
    assert bool(verdict.cells) is (status not in ("forged", "infra_error"))
    if verdict.cells:
        first, second = verdict.cells
        assert (first["status"], first["stdout"], first["value"]) == ("pass", "a\n", "1")
        assert (second["status"], second["stderr"][:1]) == (status, "e")


def test_a_frame_that_a_kill_cut_off_spoils_nothing_but_one_that_the_program_left_does() -> None:
    for changes, status in ((({"end": "timeout"}), "timeout"), ({"code": 1}, "forged")):
        execute = Typed(([UP, PLAN, READY, ONE], {**FIRST, **changes}))
        execute.tail = HALF
        assert judge(Program("", cells=("a", "b")), execute).status == status


def test_after_a_kill_the_others_run_again_and_only_the_last_process_is_believed() -> None:
    killed = ([UP, PLAN, READY], {"end": "timeout", "wall_s": 1.0})
    again = ["cell", 0, "another", None, ""]
    execute = Typed(
        ([UP, [*PLAN[:2], 3, *PLAN[3:]], READY, ONE], {**FIRST, "end": "oom", "wall_s": 2.0}),
        ([UP, PLAN, READY, again, ["cell", 1, "3", None, ""]], {**DONE, "wall_s": 1.0}),
    )
    verdict = judge(Program("", cells=("a", "b", "c")), execute)
    assert [(c["status"], c["value"]) for c in verdict.cells] == [
        ("pass", "another"),
        ("oom", None),
        ("pass", "3"),
    ]
    assert verdict.wall_ms == 3000
    assert execute.runs == []
    tired = judge(Program("", cells=("a", "b"), timeout_s=0.5), Typed(killed))
    assert [cell["status"] for cell in tired.cells] == ["timeout", "timeout"]


@pytest.mark.parametrize(("starved_s", "durable"), [(0.0, True), (0.05, True), (0.2, False)])
def test_a_cell_that_others_kept_from_the_cpu_is_not_stored(starved_s, durable) -> None:
    ended: dict[str, Any] = {"end": "timeout", "wall_s": 1.0, "cpu_s": 0.5, "starved_s": starved_s}
    verdict = judge(
        Program("", cells=("a",)), Typed(([UP, [*PLAN[:2], 1, *PLAN[3:]], READY], ended))
    )
    assert (verdict.status, verdict.durable) == ("timeout", durable)
