"""AutoTools, first half: functions around the operations of an API, written, run and verified.

Source: Shi et al., "Chain of Tools: Large Language Model is an Automatic Multi-tool Learner",
arXiv:2405.16533 (black-box probing, tools that need another's answer after it); `mangopy/AutoTools`
(Apache-2.0): three tries to write, three to verify by the signature alone, temperature 0.9.
Differs from the paper: our own prompts; what needs less is probed first; the API is simulated in
the sandbox, and a call counts that succeeds outside of it again. `auto_tools_solve` goes on.
"""

from __future__ import annotations

import json
from typing import ClassVar, NamedTuple, TypedDict

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.engines.sandbox.inspecting import found, inspection
from gristmill.engines.sandbox.program import Program
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import tool_programs
from gristmill.text.fences import LANGUAGES, fences
from gristmill.text.interpreter_steps import observed
from gristmill.text.simulated_api import Api, Endpoint
from gristmill.text.tool_calls import api_of, documented
from gristmill.text.tool_worlds import HIDDEN, asking, prelude, told
from gristmill.text.turns import user

WRITE = """Write one Python function around an operation of an API, and a call of it. It stands \
alone, has a docstring that says what it takes and gives, takes what the operation needs as \
parameters, calls request("name of the operation", {{...}}), which is there and returns a status \
and an answer, and returns the answer, or a text that says what went wrong; it prints nothing. \
Reply with two Python blocks: the function; then one expression that calls it with values that are \
there.

### What other operations answered
{seen}

### Operation
{operation}"""
CALL = """Write one Python expression that calls the function below with realistic values. Reply \
with one Python block.

### What other functions answered
{seen}

### Function
{head}
    '''{about}'''"""
FAILED = "\n\n### What failed before\n{code}\n\n{error}"
TRIES, MAX_SEEN = 3, 300  # the second in characters of an answer that later prompts show


class Described(TypedDict):
    """What it reads: a row of `seeds.use: openapi`."""

    api: str


class Function(TypedDict):
    """A function that was verified, around an operation of the API."""

    name: str
    operation: str
    head: str
    about: str
    source: str
    example: str
    """The call that verified it."""
    skeleton: str
    """Types of what that gave, as JSON."""


class Wrapped(TypedDict):
    """What it writes."""

    functions: list[Function]
    gen: Gen


class Run(NamedTuple):
    """A call that was a success, and the function that it calls."""

    source: str
    call: str
    value: str
    known: dict[str, str]
    gen: Gen


class AutoTools(RowStage):
    """Probe operation by operation, those that need the least first."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"nothing_verified"}

    sampling: Sampling = Sampling(temperature=0.9, top_p=0.95)

    def needs(self) -> dict[str, Op]:
        """One model writes, the sandbox runs."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: Described, ctx: Context) -> Wrapped | Drop:
        """What an operation answered is shown to those after it."""
        api, seen, functions = api_of(row["api"]), list[str](), list[Function]()
        for one in sorted(api["endpoints"], key=lambda one: len(one["parameters"]["required"])):
            if made := await self._wrap(api, one, "\n".join(seen), ctx):
                function, answer, gen = made
                functions.append(function)
                seen.append(f"{one['name']}: {function['example']} gave {answer[:MAX_SEEN]}")
        if not functions:
            return Drop("nothing_verified", f"{len(api['endpoints'])} operations")
        return Wrapped(functions=functions, gen=gen)

    async def _wrap(
        self, api: Api, one: Endpoint, seen: str, ctx: Context
    ) -> tuple[Function, str, Gen] | None:
        """Write until a call runs, then have it called by somebody who sees its head alone."""
        prompt = WRITE.format(seen=seen, operation=documented([one]))
        if not (first := await self._try(prompt, "", api, one["name"], ctx)):
            return None
        known, prompt = first.known, CALL.format(seen=seen, **first.known)
        if not (second := await self._try(prompt, first.source, api, one["name"], ctx)):
            return None
        shape = json.dumps(tool_programs.skeleton(json.loads(second.value)), ensure_ascii=False)
        function = Function(
            name=known["name"], operation=one["name"], head=known["head"], about=known["about"],
            source=first.source, example=second.call, skeleton=shape,
        )  # fmt: skip
        return function, second.value, second.gen

    async def _try(self, prompt: str, source: str, api: Api, name: str, ctx: Context) -> Run | None:
        """Ask until a call of the operation is a success; the next try is shown what failed."""
        failed, end = "", "\n\n### Python"
        for _ in range(TRIES):
            ask = [user(prompt + failed + end)]
            reply = await complete(ctx.llm("generator"), ask, self.sampling)
            blocks = [] if isinstance(reply, Drop) else fences(reply.text) or []
            texts = [one.text.strip() for one in blocks if one.language in LANGUAGES["python"]]
            if isinstance(reply, Drop) or len(texts) != (1 if source else 2):
                continue
            code, call = source or texts[0], texts[-1]
            look = inspection(tool_programs, "defined", code, call, HIDDEN)
            known = found(await ctx.sandbox.run(look)) or {}
            verdict = await ctx.sandbox.run(Program("", cells=(prelude(api), code, asking(call))))
            made = told(api, verdict.cells[-1]["stdout"]) if verdict.status == "pass" else None
            if made and "head" in known and name in [one["name"] for one in made[0]]:
                return Run(code, call, made[1], known, reply.gen)
            error = known.get("error") or "".join(map(observed, verdict.cells[-1:]))
            failed = FAILED.format(code="\n\n".join(texts), error=error[-MAX_SEEN:])
        return None
