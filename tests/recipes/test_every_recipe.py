"""Every shipped recipe runs to its end on a model that says anything, and loses no row.

The model answers by chance: empty, refusing, cut off, lists, JSON, code, markers of templates. Few
replies can be read, so few rows stay: what is asked here is that the run ends, that every row has
its end and every reject its reason, and that a second run asks nothing and gives the same.
"""

import random
from collections.abc import Iterator
from typing import Any, ClassVar, get_args

import numpy as np
import pytest
from audit import audit
from pydantic import Field

from gristmill import Recipe, run
from gristmill.engines.attending import Attended
from gristmill.engines.base import Engine
from gristmill.engines.diverging import Divergences
from gristmill.engines.entropies import Entropies
from gristmill.engines.rating import Rating
from gristmill.engines.requests import Completion, LogProbs, Op, Probs, Vector
from gristmill.engines.sandbox import Sandbox
from gristmill.formats.recipe_files import shipped
from tests.conftest import text_of

SAYS = (
    "", "I'm sorry, but I can't help with that.", "[]", "{}", "null", "Yes", "A", "B", "1", "7/10",
    "4.5",
    '{"label": ["one", {"two": 3}]}', "1. Sort a list.\n2. Name a river.\n3. Add two numbers.",
    "### Instruction\nName {a} river {{ of }}.\n### Response\nThe Danube.", "<|im_end|> # Task\n{",
    "```python\ndef f(x):\n    return x * x\n```\n```python\nassert f(3) == 9\n```",
    "Question: What is 2 + 3?\nAnswer: 5\nScore: 8\nVerdict: yes",
)  # fmt: skip
ROWS = [
    {
        "instruction": f"Say in a sentence why the number {i} is {'odd' if i % 2 else 'even'}.",
        "output": f"The number {i} is {'odd' if i % 2 else 'even'}, as its last digit shows.",
    }
    for i in range(6)
]


class Babble(Engine):
    """Answers everything, by the request alone."""

    ops: ClassVar[frozenset[Op]] = frozenset(get_args(Op)) - {"run", "train"}
    n_calls: list[int] = Field(default_factory=lambda: [0])

    @property
    def identity(self) -> str:
        return "babble"

    def chance(self, request: Any) -> random.Random:
        self.n_calls[0] += 1
        return random.Random(request.key(""))

    async def generate(self, request: Any) -> Completion:
        chance = self.chance(request)
        text = chance.choice([*SAYS, text_of(request)[-80:]])
        finish: Any = chance.choice(["stop"] * 9 + ["length"])
        return Completion(text, finish, 10, len(text.split()), "babble")

    see = generate

    async def score(self, request: Any) -> LogProbs:
        values = [-chance for chance in self.numbers(request, len(request.response.split()))]
        return LogProbs(values, 4, len(values))

    async def entropy(self, request: Any) -> Entropies:
        values = self.numbers(request, len(request.response.split()))
        return Entropies([-v for v in values], values, 1000, 4, len(values))

    async def diverge(self, request: Any) -> Divergences:
        values = self.numbers(request, len(request.response.split()))
        return Divergences([v / 5 for v in values], 4, len(values))

    async def attend(self, request: Any) -> Attended:
        n = sum(message["role"] == "assistant" for message in request.messages)
        return Attended(list(self.numbers(request, n)), 10, cut=False)

    async def rate(self, request: Any) -> Rating:
        return Rating(self.numbers(request, 1)[0], 10)

    async def embed(self, request: Any) -> Vector:
        values = np.array(self.numbers(request, 8), np.float32)
        return Vector(values / np.linalg.norm(values), 5, cut=False)

    async def choice(self, request: Any) -> Probs:
        values = self.numbers(request, len(request.labels))
        shares = [value / sum(values) for value in values]
        return Probs(dict(zip(request.labels, shares, strict=True)), 1.0, 10)

    def numbers(self, request: Any, n: int) -> list[float]:
        chance = self.chance(request)
        return [chance.uniform(0.1, 3.0) for _ in range(n)]


def trains(name: str) -> bool:
    """Say whether a recipe trains: its own tests run those."""
    return any(engine.get("use") == "trainer" for engine in Recipe.load(name).engines.values())


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(1) as sandbox:
        yield sandbox


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in sorted(shipped()) if not trains(name)])
def test_it_ends_and_accounts_for_every_row_whatever_the_model_says(
    name, sandbox, tmp_path
) -> None:
    recipe = Recipe.load(
        name, ["seeds.limit=3", "export={formats: [], card: false, report: false}"]
    )
    model = Babble()
    roles = {role: sandbox if role == "sandbox" else model for role in recipe.engines}
    given = None if recipe.seeds.path else ROWS
    first = run(recipe, given, engines=roles, workspace=tmp_path)
    assert audit(first.path) == []
    asked = model.n_calls[0]
    again = run(recipe, given, engines=roles, workspace=tmp_path)
    assert again.dataset == first.dataset
    assert model.n_calls[0] == asked
    assert not any(line["failed"] for line in first.ledger), first.ledger
