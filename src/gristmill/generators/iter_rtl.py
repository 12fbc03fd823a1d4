"""ITERTL: a model's own candidates beside the reference, each with a score; the next model again.

Source: Wu et al., "ITERTL: An Iterative Framework for Fine-tuning LLMs for RTL Code Generation",
arXiv:2407.12022, section 3; no code was released. How far a model ranks them otherwise is the
scorer `iter_rtl`.
Differs from the paper: our own prompt; where the language has a runner here, the score is the share
of inputs for which a candidate prints what the reference prints; without inputs, 0 for one that
does not run where the reference does, else 1 minus the edit distance by the longer length; a round
of a recipe trains on the reference alone, without the ranking loss.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import ClassVar, Literal, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.sandbox.scripts import Script, printed, runs, share_right
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.faults import likeness
from gristmill.text.fences import code_in

NAMES = {"verilog": "Verilog", "python": "Python", "cpp": "C++", "javascript": "JavaScript"}
PROMPT = """Write code by a description. Names, ports and parameters are those that it gives, and \
nothing but what it asks for is written: no test bench, no input or output around it. Reply with \
one block of code.

### Language
{language}

### Description
{instruction}

### Code"""


class Described(TypedDict):
    """What it reads: with `bench`, code that follows every candidate, and `stdin`, its inputs."""

    instruction: str
    output: str
    bench: NotRequired[str | None]
    stdin: NotRequired[list[str] | None]


class Ranked(TypedDict):
    """What it writes; the output is the reference again."""

    output: str
    candidates: list[str]
    """Code, the reference last."""
    scores: list[float]
    """Of each, 0 to 1, higher is better; 1 for the reference."""
    scored_by: str
    """`tests` or `similarity`."""
    iteration: int
    """1 is the first, with the model as it came."""
    gen: Gen
    """Of the first candidate."""


class IterRtl(RowStage):
    """Ask for candidates, and score them against the reference."""

    version: ClassVar[int] = 3
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "no_reference", "bad_source", "flaky", "weak_tests", "no_code", "missing_tool",
    }  # fmt: skip

    language: Literal["verilog", "python", "cpp", "javascript"] = "verilog"
    """What is written. Verilog is run by Icarus Verilog, where that is installed."""
    k: int = Field(default=4, ge=2, le=64)
    """Candidates with the reference; RTLCoder has 4."""
    timeout_s: float = Field(default=20.0, gt=0, le=600)
    """Wall-clock limit of one run, in seconds."""
    sampling: Sampling = Sampling(temperature=0.5, max_tokens=2048)

    def needs(self) -> dict[str, Op]:
        """The model of the iteration writes, the sandbox runs."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: Described, ctx: Context) -> Ranked | Drop:
        """Ask for all candidates at once; no code, or what cannot be run here, is none."""
        reference = code_in(self.language, row["output"] or "")
        if not reference:
            return Drop("no_reference", f"no closed {self.language} block in the output")
        bench, inputs = row.get("bench") or "", row.get("stdin") or []
        script = Script(f"{reference}\n{bench}", self.language, inputs or [""], self.timeout_s)
        outputs = await printed(ctx.sandbox.run, script) if inputs else ("missing_tool", "")
        has_to_run = not inputs and await runs(ctx.sandbox.run, script)
        if isinstance(outputs, tuple) and outputs[0] != "missing_tool":
            return Drop(*outputs)
        told = {"language": NAMES[self.language], "instruction": row["instruction"]}
        ask: list[Message] = [{"role": "user", "content": PROMPT.format(**told)}]
        asked = (complete(ctx.llm("generator"), ask, self.sampling) for _ in range(self.k - 1))
        replies = await asyncio.gather(*asked)
        said = [reply for reply in replies if not isinstance(reply, Drop)]
        if not said:
            return next(reply for reply in replies if isinstance(reply, Drop))
        found = [(c, reply.gen) for reply in said if (c := code_in(self.language, reply.text))]
        if not found:
            return Drop("no_code", said[0].text)
        scored = list[tuple[str, float, Gen]]()
        for code, gen in found:
            score: float | None = likeness(code, reference)
            one = replace(script, code=f"{code}\n{bench}")
            if isinstance(outputs, list):
                score = await share_right(ctx.sandbox.run, one, outputs)
            elif has_to_run and await runs(ctx.sandbox.run, one) is False:
                score = 0.0
            if score is not None:
                scored.append((code, score, gen))
        if not scored:
            return Drop("missing_tool", f"none of {len(found)} candidates can be run here")
        return {
            "output": row["output"],
            "candidates": [*(one[0] for one in scored), reference],
            "scores": [*(one[1] for one in scored), 1.0],
            "scored_by": "similarity" if isinstance(outputs, tuple) else "tests",
            "iteration": ctx.round + 1,
            "gen": scored[0][2],
        }
