"""The verifier on the real sandbox: ten answers of which three are right."""

import asyncio
from pathlib import Path
from typing import Any

from gristmill.engines.client import Client
from gristmill.engines.sandbox import Sandbox
from gristmill.filters.verdict import Verdict
from gristmill.pipelines import Context, Drop
from gristmill.storage.answers import Answers
from gristmill.verifiers.unit_tests import UnitTests

TESTS = "meta.self_code_align.tests"
CHECK = "assert double(2) == 4\nassert double(-1) == -2"
ANSWERS = {
    "def double(x):\n    return 2 * x": "pass",
    "def double(x):\n    return x + x": "pass",
    "double = lambda x: x << 1": "pass",
    "def double(x):\n    return x * x": "fail",
    "def double(x):\n    return abs(2 * x)": "fail",
    "def double(x):\n    return None": "fail",
    "def double(x):\n    while True:\n        pass": "timeout",
    "import sys\nsys.exit(0)": "error",
    "import requests\ndef double(x):\n    return 2 * x": "missing_dependency",
    "def double(x)\n    return 2 * x": "error",
}


def test_three_of_ten_answers_pass_and_the_others_say_why(sandbox: Sandbox, tmp_path: Path) -> None:
    answers = Answers(tmp_path / "answers")
    client = Client(sandbox, answers)
    stage = UnitTests(timeout_s=1)

    async def judge(code: str) -> Any:
        ctx = Context({"sandbox": client}, 0, "unit_tests", code)
        return await stage({"output": f"```python\n{code}\n```", TESTS: CHECK}, ctx)

    async def judge_all() -> list[Any]:
        return await asyncio.gather(*map(judge, ANSWERS))

    verdicts = asyncio.run(judge_all())
    answers.close()
    assert [verdict["status"] for verdict in verdicts] == list(ANSWERS.values())
    assert [verdict["passed"] for verdict in verdicts].count(True) == 3
    rows = [{f"verdicts.unit_tests.{k}": v for k, v in verdict.items()} for verdict in verdicts]
    left = [Verdict()(row) for row in rows]
    codes = [drop.code for drop in left if isinstance(drop, Drop)]
    assert codes == ["failed_verdict"] * 5 + ["unjudged", "failed_verdict"]


FLAKY = """
import os
def double(x):
    return 2 * x if x < 0 or os.urandom(1)[0] % 2 else None
"""


def test_an_answer_that_passes_only_sometimes_leaves_as_flaky(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    answers = Answers(tmp_path / "answers")
    stage = UnitTests(attempts=10)  # equal all ten times: once in 512
    row = {"output": f"```python\n{FLAKY}\n```", TESTS: CHECK}
    tests = CHECK + "\nassert double(-2) == -4"

    async def judge(seed: int) -> Any:
        ctx = Context({"sandbox": Client(sandbox, answers)}, seed, "unit_tests", "id")
        return await stage({**row, TESTS: tests}, ctx)

    first, again = asyncio.run(judge(0)), asyncio.run(judge(1))
    answers.close()
    assert (first["flaky"], first["passed"], first["status"]) == (True, None, "fail")
    assert first == again, "replayed"
    columns = {f"verdicts.unit_tests.{name}": value for name, value in first.items()}
    assert Verdict()(columns).code == "flaky"
