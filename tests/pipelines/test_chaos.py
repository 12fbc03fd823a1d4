"""Engines, workers, sandboxes, machines, drivers die at random; every run ends as if none had."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from chaos_driver import REPLICAS, WINDOW

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "chaos.py"


def test_whatever_dies_no_row_is_lost_doubled_or_judged_otherwise() -> None:
    # A process of its own: Ray ends one a minute after a cluster that it has made is gone.
    command = [sys.executable, str(SCRIPT), "--rounds", "5", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-4000:]
    done = json.loads(ended.stdout.splitlines()[-1])
    faults = sum(done["faults"].values())
    assert faults >= 8, "runs ended before their faults"
    assert (done["rows_lost"], done["rows_duplicated"], done["ledgers_wrong"]) == (0, 0, 0)
    assert done["rounds"] == done["rounds_identical"] == 5
    assert done["calls_repeated"] == 0
    assert done["in_flight_repeated"] <= faults * REPLICAS * WINDOW
