"""How many programs pass: a trained model does tasks that were held out, their tests judge it.

Source: Chen et al., "Evaluating Large Language Models Trained on Code", arXiv:2107.03374: pass@1,
here of one greedy answer. What brings no code, or needs a package that the sandbox lacks, has not
passed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from gristmill.engines.base import Engine
from gristmill.engines.client import Client
from gristmill.engines.named import build_engines
from gristmill.engines.requests import Generate, Sampling
from gristmill.engines.training import Pair
from gristmill.errors import PromptRefused, PromptTooLong, RecipeError
from gristmill.geometry.picks import Numbers
from gristmill.pipelines.context import Context
from gristmill.pipelines.recipe import Recipe
from gristmill.storage.answers import Answers
from gristmill.verifiers.unit_tests import UnitTests

GENERATOR = {"use": "vllm", "max_num_seqs": 64}
"""What the recipe says about its generator comes first, but for the model."""
GREEDY = Sampling(temperature=0.0, max_tokens=512)
TESTS = UnitTests(tests="tests")


@dataclass(frozen=True)
class Solver:
    """What writes the programs, whatever model it is given, and what runs them."""

    generator: Engine
    sandbox: Engine

    @classmethod
    def of(cls, recipe: Recipe) -> Solver:
        """Return that of a recipe, checked."""
        entry = {**GENERATOR, **recipe.engines.get("generator", {})}
        if entry["use"] != "vllm":
            raise RecipeError(
                "engines.generator must be {use: vllm} to write with the models that were trained, "
                f"found use: {entry['use']}"
            )
        entry = {k: v for k, v in entry.items() if k not in ("revision", "replicas")}
        named = {**recipe.engines, "generator": {**entry, "model": "demo"}}
        engines = build_engines(recipe.name, named)
        generator, sandbox = engines["generator"], engines["sandbox"]
        generator.check()
        sandbox.check()
        return cls(generator, sandbox)

    async def solve(
        self,
        models: Sequence[str],
        tasks: Sequence[Pair],
        tests: Mapping[str, Any],
        answers: Answers,
    ) -> Numbers:
        """Return 1 where the program passed, else 0: (models, tasks); one model after the other."""
        runs, passed = Client(self.sandbox, answers), []
        async with AsyncExitStack() as stack:
            stack.push_async_callback(runs.stop)
            for model in models:
                changes = {**self.generator.model_dump(), "model": model, "revision": None}
                writer = Client(type(self.generator)(**changes), answers)
                try:
                    calls = (_passes(writer, runs, task, tests[task.id]) for task in tasks)
                    passed.append(await asyncio.gather(*calls))
                finally:
                    await writer.stop()  # the next one needs the memory
        return np.array(passed, np.float64)


async def _passes(writer: Client, runs: Client, task: Pair, tests: Any) -> bool:
    try:
        _, made = await writer.ask(Generate(task.context, GREEDY))
    except (PromptTooLong, PromptRefused):
        return False
    ctx = Context({"sandbox": runs}, 0, "prove", task.id)
    found = await TESTS({"output": made.text, "tests": tests}, ctx)
    return bool(found["passed"])
