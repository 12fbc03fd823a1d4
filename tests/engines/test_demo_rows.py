"""The shipped model on the real vLLM: what recipes keep of it was verified by running it."""

import asyncio
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from audit import audit
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
