"""kill -9 of the process group, then the same command: nothing lost, nothing paid for twice."""

import os
import sys

import pytest
from resume import IN_FLIGHT, kill_again_and_again, place

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

KILLS = int(os.environ.get("GRISTMILL_KILLS", "14"))
"""By time; twelve more fall on events."""


def test_killed_runs_end_with_the_same_bytes_and_repeat_no_committed_call(tmp_path) -> None:
    seed = int(os.environ.get("GRISTMILL_SEED", "0"))
    with place(tmp_path, n_seeds=150) as here:
        done = kill_again_and_again(here, KILLS, seed)
    sys.stdout.write(f"{done}\n")
    assert done.kills >= 20
    assert done.timed >= done.timed_inside >= 0.9 * KILLS, "kills by time missed the work"
    assert len(set(done.positions)) > KILLS // 2
    assert {event.split()[0] for event in done.events} == {
        "answer_written", "rename", "rename_done", "table_stage", "selector", "export",
    }  # fmt: skip
    assert (done.rows_lost, done.rows_duplicated, done.calls_repeated) == (0, 0, 0)
    assert done.in_flight_repeated <= done.kills * IN_FLIGHT
    assert done.is_identical
