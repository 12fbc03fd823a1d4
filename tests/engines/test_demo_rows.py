"""The shipped model on the real vLLM: what recipes keep of it was verified by running it."""

import asyncio
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from audit import audit
from demo_model import shown
from demo_model.mutants import documented
from demo_model.tasks import compose
from pydantic import PrivateAttr

from gristmill import Recipe, run
from gristmill.engines.base import Engine
from gristmill.engines.remote import Remote
from gristmill.engines.requests import Completion, Generate, Op
from gristmill.engines.sandbox import Sandbox

Wait = Callable[..., Any]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ONLY = "export={formats: [], card: false, report: false}"


class Lent(Engine):
    """An engine that another loop started and stops; a run only asks it."""

    ops: ClassVar[frozenset[Op]] = frozenset({"generate"})
    _remote: Remote = PrivateAttr()
    _wait: Wait = PrivateAttr()

    @property
    def identity(self) -> str:
        return self._remote.identity

    async def generate(self, request: Generate) -> Completion:
        found: Completion = await asyncio.to_thread(self._wait, self._remote.generate(request))
        return found


@pytest.fixture(scope="module")
def roles(vllm: Remote, wait: Wait) -> Iterator[dict[str, Engine]]:
    """Return the model as the generator, and a sandbox."""
    lent = Lent()
    lent._remote, lent._wait = vllm, wait
    with Sandbox(2) as sandbox:
        yield {"generator": lent, "sandbox": sandbox}


def functions(folder: Path, n: int) -> str:
    """Write n functions that call packages and were held out of the model's training."""
    rng, codes = random.Random(5), dict[str, str]()
    while len(codes) < n:
        task = compose(rng, "package", held_out=True)
        codes.setdefault(task.family, documented(task.code, f'"""{task.say}."""'))
    folder.mkdir()
    for family, code in codes.items():
        (folder / f"{family}.py").write_text(f"{code}\n")
    return str(folder)


@pytest.mark.parametrize("name", ["code_act", "infinity_math", "unit_coder"])
def test_a_recipe_keeps_rows_of_the_shipped_model(name: str, roles: Any, tmp_path: Path) -> None:
    given = {"input": functions(tmp_path / "code", 16)} if name == "unit_coder" else {}
    sets = ["stages.2.repairs=1"] if name == "unit_coder" else []
    done = run(Recipe.load(name, [ONLY, *sets], **given), engines=roles, workspace=tmp_path)
    assert audit(done.path) == []
    assert not any(line["failed"] for line in done.ledger), done.ledger
    assert len(done.dataset) > 0, done.ledger


def reviewed(n: int, *, enough: bool) -> list[str]:
    """Return n functions held out of the training, with docstrings that are enough, or are not."""
    rng = random.Random(11)
    return [shown.reviewed(rng, enough=enough, held_out=True)[0] for _ in range(n)]


def test_the_judge_of_seeds_takes_docstrings_that_say_enough(roles: Any, tmp_path: Path) -> None:
    good, vague = reviewed(16, enough=True), reviewed(16, enough=False)
    recipe = Recipe.load("self_code_align", [ONLY])
    judge = [one for one in recipe.stages if one["use"] == "filters.self_code_align_judge"]
    only = recipe.model_copy(update={"stages": judge, "engines": {}})
    rows = [{"code": code} for code in [*good, *vague]]
    done = run(only, rows, engines={"generator": roles["generator"]}, workspace=tmp_path)
    taken = {row["code"] for row in done.dataset.to_pylist()}
    assert len(taken & {*good}) >= 4 > 2 >= len(taken & {*vague})


def test_self_code_align_keeps_rows_of_the_shipped_model(roles: Any, tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    for i, code in enumerate(reviewed(8, enough=True)):
        (tmp_path / "code" / f"f{i}.py").write_text(f"{code}\n")
    sets = [ONLY, "stages.4.n=4", "engines.generator={use: vllm, model: demo}"]
    given = Recipe.load("self_code_align", sets, input=str(tmp_path / "code"))
    kept = [stage for stage in given.stages if not stage["use"].startswith(("scor", "select"))]
    engines = {role: given.engines[role] for role in roles}
    recipe = given.model_copy(update={"stages": kept, "engines": engines})
    done = run(recipe, engines=roles, workspace=tmp_path)
    assert audit(done.path) == []
    assert not any(line["failed"] for line in done.ledger), done.ledger
    assert len(done.dataset) > 0, done.ledger
    assert all(row["verdicts"]["unit_tests"]["passed"] for row in done.dataset.to_pylist())
