"""Shipped recipes that need nothing but the sandbox, from end to end."""

from pathlib import Path
from typing import Any

from gristmill import Recipe, run
from gristmill.engines.sandbox import Sandbox


def build(name: str, sandbox: Sandbox, folder: Path) -> Any:
    shared = sandbox.model_copy()  # a run stops the engines it is given; ours goes on
    shared._state = None
    return run(Recipe.load(name), engines={"sandbox": shared}, workspace=folder)


def test_scripts_that_print_the_wrong_thing_leave(sandbox: Sandbox, tmp_path: Path) -> None:
    result = build("script_tests", sandbox, tmp_path)
    rows = result.dataset.to_pylist()
    assert [row["verdicts"]["stdio"]["statuses"] for row in rows] == [["pass"] * 3, ["pass"] * 2]
    assert [line["codes"] for line in result.ledger if line["codes"]] == [{"failed_verdict": 1}]
