"""FunCoder, second half: write each function several times, keep the one that most agree with.

Source: Chen et al., "Divide-and-Conquer Meets Consensus: Unleashing the Power of Functions in Code
Generation", arXiv:2405.20092, sections 3.1 and 3.2.
Differs from the paper: our own prompts; crashes, and values that differ between two runs, agree
with nothing, and ties go to the shortest code. Where nothing was judged, for want of inputs or of
agreement, the body of the divide pass stays and has no consensus. What the docstring asserts is an
input and weighs no more than others; however few candidates are valid, they are compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypedDict

from pydantic import Field

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.engines.sandbox.agreement import consensus, steady, winner
from gristmill.engines.sandbox.inspecting import found, inspection
from gristmill.engines.sandbox.program import Program
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import function_parts
from gristmill.text.fences import fenced, python_code
from gristmill.text.function_parts import joined

INPUTS = """Write calls of a Python function that show how it behaves: usual cases, edges, large \
and small values. One call per line, with literal arguments, without results. Reply with one \
Python block.

### Function
{stub}

### Calls"""
CONQUER = """Implement one Python function. Functions that exist can be called and are not \
repeated; add no others. Keep signature and docstring. Reply with one Python block.

### Functions that exist
{helpers}

### Function
{stub}

### Python"""


class Choice(TypedDict):
    """One function. `consensus` is its sum of similarities; None: the divide pass stays."""

    name: str
    code: str
    n_candidates: int
    consensus: float | None
    inputs: list[str]


class Solved(TypedDict):
    """What it writes: the program in one block; its functions, each after those that it needs."""

    output: str
    functions: list[Choice]


class FunCoderConquer(RowStage):
    """Choose the functions of a tree one by one, from the leaves up."""

    of: str = Field(default="fun_coder", pattern=r"^\w+$")
    """Label of the stage that divided."""
    n: int = Field(default=10, ge=1)
    """Candidates of each function, besides the body of the divide pass."""
    max_inputs: int = Field(default=20, ge=1)
    """Calls that candidates are compared on. Our choice."""
    timeout_s: float = Field(default=5.0, gt=0, le=600)
    """Wall-clock limit of one run over all inputs, in seconds."""
    planning: Sampling = Sampling(temperature=0.2)
    """For the inputs."""
    sampling: Sampling = Sampling(temperature=0.8)

    def reads(self) -> frozenset[str]:
        """The columns depend on `of`."""
        return frozenset(f"meta.{self.of}.{name}" for name in ("tree", "context", "calls"))

    def needs(self) -> dict[str, Op]:
        """One model writes, the sandbox compares."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> Solved:
        """Solve each function after those that it needs."""
        tree, context, shown = (row[f"meta.{self.of}.{n}"] for n in ("tree", "context", "calls"))
        done: list[dict[str, Any]] = []
        chosen: list[Choice] = []
        for node in reversed(tree):
            inputs = await self.inputs(node, [] if node["parent"] else shown, ctx)
            helpers = joined(context, done)
            parts = [node, *await self.candidates(node, tree, helpers, ctx)]
            programs = [joined(context, [*done, part]) for part in parts]
            best, score = await self.choose(programs, inputs, ctx)
            done.append(parts[best])
            chosen.append(
                {"name": node["name"], "code": parts[best]["code"], "n_candidates": len(parts),
                 "consensus": score, "inputs": inputs}
            )  # fmt: skip
        return {"output": fenced(joined(context, done)), "functions": chosen}

    async def inputs(self, node: dict[str, Any], shown: list[str], ctx: Context) -> list[str]:
        """Return different calls: those that are shown, then those that the model writes."""
        ask: list[Message] = [{"role": "user", "content": INPUTS.format(stub=node["stub"])}]
        reply = await complete(ctx.llm("generator"), ask, self.planning)
        text = "" if isinstance(reply, Drop) else python_code(reply.text) or ""
        program = inspection(function_parts, "calls", text, node["name"])
        calls = found(await ctx.sandbox.run(program)) or []
        return list(dict.fromkeys([*shown, *calls]))[: self.max_inputs]

    async def candidates(
        self, node: dict[str, Any], tree: Sequence[dict[str, Any]], helpers: str, ctx: Context
    ) -> list[dict[str, Any]]:
        """Return the replies that implement the function, which the tree's others exist beside."""
        text = CONQUER.format(helpers=helpers or "# none", stub=node["stub"])
        ask: list[Message] = [{"role": "user", "content": text}]
        asked = [complete(ctx.llm("generator"), ask, self.sampling) for _ in range(self.n)]
        replies = await asyncio.gather(*asked)
        codes = [None if isinstance(r, Drop) else python_code(r.text) for r in replies]
        known = [part["name"] for part in tree if part is not node]
        runs = [
            ctx.sandbox.run(inspection(function_parts, "part", code, node["stub"], known))
            for code in codes
            if code
        ]
        parts = [found(verdict) or {} for verdict in await asyncio.gather(*runs)]
        return [part for part in parts if part.get("code") and not part["stubs"]]

    async def choose(
        self, programs: list[str], inputs: list[str], ctx: Context
    ) -> tuple[int, float | None]:
        """Return the program that most agree with, and how much; the first where none do."""
        if not inputs:
            return 0, None
        asked = [
            Program(code, calls=tuple(inputs), attempt=i, timeout_s=self.timeout_s)
            for code in programs
            for i in range(2)
        ]
        verdicts = await asyncio.gather(*map(ctx.sandbox.run, asked))
        pairs = [verdicts[i : i + 2] for i in range(0, len(verdicts), 2)]
        scores = consensus([steady(pair, len(inputs)) for pair in pairs])
        best = winner(scores, [len(code) for code in programs])
        return (0, None) if best is None else (best, scores[best])
