"""What all methods have in common that keep rows because something ran.

A kept row passes again in a fresh sandbox, from what is stored in it alone; its tests notice that
functions return None or that an operator is another one; nothing is kept where all replies are
wrong; and trouble of the machine never changes which rows are kept.
"""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audit import audit

from gristmill import Recipe, run
from gristmill.engines.sandbox import Program, Sandbox, pool
from gristmill.engines.sandbox.backends import choose
from gristmill.engines.sandbox.modules import checked
from gristmill.engines.sandbox.watch import Outcome
from gristmill.errors import RequirementError
from gristmill.text.code_files import files_in
from gristmill.text.fences import code_in, python_code
from tests.recipes.test_code_and_math import QUICK, answer

ONLY = "export={formats: [], card: false, report: false}"
RUN = (
    "infinity_math", "effi_code", "re_socratic", "epi_coder", "guaranteed_guess", "l2mac",
    "private_library",
)  # fmt: skip
"""Recipes whose rows bring what they were run with."""
KNOWN = ("mario", "enriched_math", "inter_code")
"""Recipes whose rows were compared with an answer that was known."""
WRONG = (
    (r"(?m)\breturn .+", "return 'wrong'"),
    (r"print\(.*\)", "print('wrong')"),
    (r"(?m)^(Final answer:|####) .*", r"\1 -1"),
    (r"<execute>.*</execute>", "<execute>true</execute>"),
)
"""What makes a reply wrong that was right."""


def wrong(prompt: str, draw: int) -> str:
    text = answer(prompt, draw)
    for pattern, other in WRONG:
        text = re.sub(pattern, other, text)
    return text


@pytest.fixture
def build(engine: Any, tmp_path: Path) -> Callable[..., Any]:
    """Run a recipe on scripted answers and a sandbox; return what came of it."""

    def go(name: str, sandbox: Sandbox, say: Callable[[str, int], str], where: str) -> Any:
        recipe = Recipe.load(name, [ONLY, *QUICK[name]])
        model = engine(answer=say)
        roles = {role: sandbox if role == "sandbox" else model for role in recipe.engines}
        try:
            result = run(recipe, engines=roles, workspace=tmp_path / where)
        except RequirementError as error:
            pytest.skip(f"no isolation here: {error}")
        assert audit(result.path) == []
        assert not any(line["failed"] for line in result.ledger), result.ledger
        return result.dataset

    return go


async def again(row: dict[str, Any], sandbox: Sandbox) -> tuple[list[str], bool]:
    """Return how a row fares when it is run once more, and whether a mutant of it is noticed.

    Code that has nothing to change counts: functions that return None are noticed in any case.
    """
    meta, output = json.loads(row["meta"]), row["output"]
    made = {key: value for one in meta.values() for key, value in one.items()}
    if files := files_in(output):
        tests = made["tests"]
        whole = {made["test_file"]: tests} if isinstance(tests, str) else None
        files |= whole or {one["path"]: one["text"] for one in tests}
        return [(await checked(sandbox.run, files, 10.0))[0]], True
    if "beam_rank" in made:
        pairs = zip(made["inputs"], made["outputs"], strict=True)
        code = code_in("python", output) or ""
        asked = [Program(code, stdin=given, stdout=shown) for given, shown in pairs]
        return [(await sandbox.run(program)).status for program in asked], True
    tests, code = made.get("tests") or row["tests"], python_code(output) or ""
    profile = "solver" if "question_style" in made else "bare"
    verdict = await sandbox.run(Program(code, tests, mutants=10, profile=profile))
    return [verdict.status], bool(verdict.mutants_killed or not verdict.mutants_total)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_a_kept_row_passes_again_and_its_tests_notice_a_mutant(name: str, build: Any) -> None:
    with Sandbox(2) as sandbox:
        rows = build(name, sandbox, answer, "first").to_pylist()
    assert rows
    with Sandbox(2) as fresh:
        for row in rows:
            statuses, is_noticed = asyncio.run(again(row, fresh))
            assert set(statuses) == {"pass"}, row
            assert is_noticed, row


@pytest.mark.slow
@pytest.mark.parametrize("name", [*RUN, *KNOWN])
def test_where_every_reply_is_wrong_nothing_is_kept(name: str, build: Any) -> None:
    with Sandbox(2) as sandbox:
        assert len(build(name, sandbox, wrong, "first")) == 0


class Shaky(pool._State):
    """Fails every fifth run, as a machine does."""

    n_runs = 0

    def execute(self, job: Any, stdin: Any, limits: Any, **where: Any) -> Outcome:
        self.n_runs += 1
        if self.n_runs % 5 == 0:
            return Outcome(end="infra")
        return super().execute(job, stdin, limits, **where)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["infinity_math", "epi_coder", "guaranteed_guess"])
def test_trouble_of_the_machine_changes_no_row(name: str, build: Any) -> None:
    with Sandbox(1) as sandbox:
        steady = build(name, sandbox, answer, "steady")
    shaky = Sandbox(1)
    state = shaky._state = Shaky(1, choose(shaky.backend), {})
    with shaky:
        assert build(name, shaky, answer, "shaky") == steady
    assert state.n_runs > 5
