"""Code for a library that no model knows: tasks from its documentation, solved with what fits.

Source: Zan et al., "When Language Model Meets Private Library", arXiv:2210.17236, section 3
(APIFinder, APICoder); `microsoft/PyCodeGPT` (apicoder, MIT) for the form of an API.
Differs from the paper: a model writes rows, which run against the real library, in the place of
training on public ones; any embedding in the place of a trained one. Every API is the first of one
task, the others are drawn flatly, without counts of use that would make rows depend on each other.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, TypedDict

import numpy as np
from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling, Vector
from gristmill.engines.sandbox.libraries import called
from gristmill.engines.sandbox.profiles import PythonProfile
from gristmill.engines.sandbox.program import Program
from gristmill.formats.api_docs import Api, Docs, Modules
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.fences import fenced, fences

TASK = """Write a programming task for somebody who has the functions below at hand. It needs all \
of them, and does not name them. It says which Python function to write, with its parameters, and \
what that returns for plain values, so exactly that tests can compare. Reply with the task alone.

### Functions
{apis}

### Task"""
SOLVE = """Solve a programming task in Python with functions of a library, imported by full name \
and used as they are described: the library has no others. Besides it there is the standard \
library. Reply with two Python blocks: first the solution; then two to six asserts that compare \
what it returns with exact values, and import nothing.

### Functions
{apis}

### Task
{task}

### Solution"""


class Documented(TypedDict):
    """What it reads: one API of the library."""

    path: str
    signature: str
    description: str


class Solved(TypedDict):
    """What it writes; `input` says what the task's APIs are, as the retriever found them."""

    instruction: str
    input: str
    output: str
    tests: str
    apis: list[str]
    """Those that the code calls."""
    recall: float
    """Share of the APIs that the task was written for among those found, 0 to 1."""
    gen: Gen


class PrivateLibrary(RowStage):
    """Write a task for an API and some others, find what it needs, solve it and run that."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "no_code", "undocumented", "misused", "no_api", "missing_package", "failed_tests",
        "flaky", "weak_tests",
    }  # fmt: skip

    docs: Docs = Field(default="shipped:private_library.seeds.jsonl", validate_default=True)
    """All APIs of the library: the seeds again."""
    modules: Modules = ()
    """The library, where no package has it: a folder of Python files."""
    most: int = Field(default=3, ge=1)
    """APIs that a task is written for, at most. Our choice."""
    k: int = Field(default=3, ge=1)
    """APIs that are shown for a task; with one or two the paper's model does best."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of one run, in seconds."""
    profile: PythonProfile = "bare"
    """What programs can import besides; see `verifiers.unit_tests`."""
    sampling: Sampling = Sampling(temperature=0.8, top_p=0.9, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """One model writes, the embedder finds, the sandbox runs."""
        return {"generator": "generate", "embedder": "embed", "sandbox": "run"}

    async def __call__(self, row: Documented, ctx: Context) -> Solved | Drop:
        """One call for the task, one for code and tests."""
        first = Api(row["path"], row["signature"] or "", row["description"] or "")
        others = [api for api in self.docs if api.path != first.path]
        n = min(ctx.rng.randint(1, self.most) - 1, len(others))
        drawn = [first, *ctx.rng.sample(others, n)]
        task = await self.ask(TASK.format(apis="\n".join(map(str, drawn))), ctx)
        if isinstance(task, Drop):
            return task
        shown = await self.fitting(task[0], ctx)
        block = "\n".join(map(str, shown))
        reply = await self.ask(SOLVE.format(apis=block, task=task[0]), ctx)
        if isinstance(reply, Drop):
            return reply
        blocks = [f.text for f in fences(reply[0]) or () if f.language in ("", "python", "py")]
        if len(blocks) != 2:
            return Drop("no_code", reply[0])
        program = Program(blocks[0], blocks[1], timeout_s=self.timeout_s, profile=self.profile)
        known = [api.path for api in self.docs]
        calls = await called(ctx.sandbox.run, program, dict(self.modules), known)
        if isinstance(calls, tuple):
            return Drop(*calls)
        return {
            "instruction": task[0],
            "input": block,
            "output": fenced(blocks[0]),
            "tests": blocks[1],
            "apis": calls,
            "recall": sum(api in shown for api in drawn) / len(drawn),
            "gen": reply[1],
        }

    async def ask(self, text: str, ctx: Context) -> tuple[str, Gen] | Drop:
        """Return a reply's text and `gen`."""
        ask: list[Message] = [{"role": "user", "content": text}]
        reply = await complete(ctx.llm("generator"), ask, self.sampling)
        return reply if isinstance(reply, Drop) else (reply.text.strip(), reply.gen)

    async def fitting(self, task: str, ctx: Context) -> list[Api]:
        """Return the APIs whose descriptions are most like a task, by cosine; ties by place."""
        llm = ctx.llm("embedder")
        found: list[Vector] = await asyncio.gather(
            llm.embed(task), *(llm.embed(str(api)) for api in self.docs)
        )
        vectors = np.stack([one.values for one in found]).astype(np.float64)
        near = vectors[1:] @ vectors[0] / np.linalg.norm(vectors[1:], axis=1).clip(1e-12)
        return [self.docs[i] for i in np.argsort(-near, kind="stable")[: self.k]]
