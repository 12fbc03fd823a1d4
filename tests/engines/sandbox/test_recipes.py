"""Shipped recipes that need nothing but the sandbox, from end to end."""

from pathlib import Path
from typing import Any

from gristmill import Recipe, run
from gristmill.engines.base import Engine
from gristmill.engines.sandbox import Sandbox


def build(name: str, sandbox: Sandbox, folder: Path, *sets: str, **engines: Engine) -> Any:
    shared = sandbox.model_copy()  # a run stops the engines it is given; ours goes on
    shared._state = None
    return run(Recipe.load(name, sets), engines={"sandbox": shared, **engines}, workspace=folder)


def test_scripts_that_print_the_wrong_thing_leave(sandbox: Sandbox, tmp_path: Path) -> None:
    result = build("script_tests", sandbox, tmp_path)
    rows = result.dataset.to_pylist()
    assert [row["verdicts"]["stdio"]["statuses"] for row in rows] == [["pass"] * 3, ["pass"] * 2]
    assert [line["codes"] for line in result.ledger if line["codes"]] == [{"failed_verdict": 1}]


LARGEST = (
    "def second_largest(x):\n    return sorted({*x})[-2] if len({*x}) > 1 else None  # the second",
    "def second_largest(x):\n    x = sorted(set(x))\n    return x[-2] if x[1:] else None",
    "def second_largest(numbers):\n    return sorted(numbers)[-2]",
)
SQUEEZE = (
    "def squeeze(text):\n    return ' '.join(text.split())",
    "def squeeze(text):\n    return text.strip()",
    "def squeeze(t): return ' '.join(t.split(' '))",
)


def test_a_program_that_behaves_as_most_do_stays(sandbox: Sandbox, tmp_path: Path, script) -> None:
    blocks = {
        name: [f"```python\n{code}\n```" for code in codes]
        for name, codes in (("second_largest(", LARGEST), ("squeeze(", SQUEEZE))
    }
    sets = ("stages.0.n=3", "engines={}", "export.card=false")
    result = build("consensus", sandbox, tmp_path, *sets, generator=script(blocks))
    rows = {row["output"].split("(")[0].split()[-1]: row for row in result.dataset.to_pylist()}
    assert rows["second_largest"]["output"] == blocks["second_largest("][1], "the shorter of two"
    verdict = rows["second_largest"]["verdicts"]["functional_consensus"]
    assert (verdict["passed"], verdict["inputs_used"]) == (True, 4)
    assert verdict["consensus"] == 1.25, "all of one sibling, [3, 1, 2] of the other"
    assert rows["squeeze"]["verdicts"]["functional_consensus"]["consensus"] == 1.25
