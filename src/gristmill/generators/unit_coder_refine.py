"""UnitCoder, second half: code that passes its tests is made readable, and must still pass them.

Source: Ma et al., "UnitCoder: Scalable Iterative Code Synthesis with Unit Test Guidance",
arXiv:2502.11460, section 3; nothing was released.
Differs from the paper: our own prompt; a version that no longer passes leaves the row as it was,
which then says so.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.engines.sandbox.inspecting import found, inspection
from gristmill.engines.sandbox.profiles import PythonProfile
from gristmill.engines.sandbox.program import Program
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import function_parts
from gristmill.text.fences import fenced, python_code

REFINE = """Make a piece of Python code better to read, without any change in what it does: a \
docstring for its last function that says what it takes and returns, comments where a reader needs \
a reason, better names inside, common style. Names and signatures of functions stay. Reply with \
the whole code in one Python block.

### Code
{code}

### Readable code"""


class Refined(TypedDict):
    """What it writes: the readable code, or that of before where `refined` is false."""

    instruction: str
    output: str
    tests: str
    refined: bool


class UnitCoderRefine(RowStage):
    """Document and tidy code that passes; its tests decide whether that changed anything."""

    codes: ClassVar[frozenset[str]] = frozenset({"no_code"})

    of: str = Field(default="unit_coder", pattern=r"^\w+$")
    """Label of the stage that wrote the tests."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of one run, in seconds."""
    profile: PythonProfile = "bare"
    """What programs can import; see `verifiers.unit_tests`."""
    sampling: Sampling = Sampling(temperature=0.2, max_tokens=2048)

    def reads(self) -> frozenset[str]:
        """The columns depend on `of`."""
        written = (f"meta.{self.of}.{name}" for name in ("tests", "name"))
        return frozenset({"instruction", "output", *written})

    def needs(self) -> dict[str, Op]:
        """One model refines."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> Refined | Drop:
        """Ask once; every doubt leaves the row as it was."""
        tests, name = row[f"meta.{self.of}.tests"], row[f"meta.{self.of}.name"]
        code = python_code(row["output"] or "")
        if code is None:
            return Drop("no_code", "no closed Python block in the output")
        ask: list[Message] = [{"role": "user", "content": REFINE.format(code=code)}]
        reply = await complete(ctx.llm("generator"), ask, self.sampling)
        better = None if isinstance(reply, Drop) else python_code(reply.text)
        task = found(await ctx.sandbox.run(inspection(function_parts, "outline", code, name)))
        if better is None or not await self.holds(better, task, tests, ctx):
            old = row["instruction"], row["output"]
            return {"instruction": old[0], "output": old[1], "tests": tests, "refined": False}
        prefix = await ctx.sandbox.run(inspection(function_parts, "prefix", better, name))
        return {
            "instruction": f"Complete this Python code.\n\n{fenced(found(prefix))}",
            "output": fenced(better),
            "tests": tests,
            "refined": True,
        }

    async def holds(self, code: str, task: Any, tests: str, ctx: Context) -> bool:
        """Say whether it is the same function without new tests, and passes the old ones."""
        flaw = inspection(function_parts, "flaw", code, task["stub"])
        if found(await ctx.sandbox.run(flaw)) != "":
            return False
        program = Program(code, tests, timeout_s=self.timeout_s, profile=self.profile)
        return bool((await ctx.sandbox.run(program)).status == "pass")
