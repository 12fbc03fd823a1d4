"""Engines, workers, sandboxes, machines, drivers die at random; every run ends as if none had."""

import sys

import pytest
from chaos import rounds
from chaos_driver import REPLICAS, WINDOW

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_whatever_dies_no_row_is_lost_doubled_or_judged_otherwise(tmp_path) -> None:
    done = rounds(5, 0, tmp_path)
    sys.stdout.write(f"{done}\n")
    faults = sum(done.faults.values())
    assert faults >= 8, "runs ended before their faults"
    assert (done.rows_lost, done.rows_duplicated, done.ledgers_wrong) == (0, 0, 0)
    assert done.rounds == done.rounds_identical == 5
    assert done.calls_repeated == 0
    assert done.in_flight_repeated <= faults * REPLICAS * WINDOW
