"""InstructCoder, next steps: a scenario for an instruction, then code before and after the edit.

Source: Li et al., "InstructCoder: Instruction Tuning Large Language Models for Code Editing",
arXiv:2310.20329, section 3.2; `qishenghu/CodeInstruct` (MIT) for the rules of parsing.
Differs from the paper: our own prompts and worked examples, always all of them; no presence
penalty; both sides must be Python, which the sandbox parses.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NotRequired, TypedDict, cast

import orjson
from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.sandbox.inspecting import found, inspection
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import code_facts
from gristmill.text.detectors import declines
from gristmill.text.fences import python_code

SCENARIOS = """An instruction asks for a change to Python code. Name ten situations from different \
fields in which a developer would be given it, a few words each, as a numbered list."""
EDIT = """Carry out an instruction for a change to Python code, in the situation that is given. \
First write realistic code that still needs the change, after `Input:`, then the same code with \
exactly this change, after `Output:`, each as one Python block."""
EXAMPLES = Path(__file__).with_suffix(".examples.jsonl")
NUMBERED = re.compile(r"(?m)^[ \t]*(\d+)[.)]\s+(\S(?:.*\S)?)[^\S\n]*$")
PARTS = re.compile(r"(?s)\A\s*Input:(.*?)^[ \t]*Output:(.*)$", re.MULTILINE)


class Asked(TypedDict):
    """What it reads; an instruction that has its edit is passed on as it is."""

    instruction: str
    input: NotRequired[str | None]
    output: NotRequired[str | None]
    gen: NotRequired[Gen | None]


class Edit(TypedDict):
    """What it writes: the code before, and the code after."""

    input: str
    output: str
    gen: Gen | None
    scenario: str | None


class InstructCoderEdits(RowStage):
    """Give an instruction a situation, and write the edit that it asks for there."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | frozenset(
        {"no_scenario", "no_parts", "refusal", "no_change", "ends_with_colon", "not_python"}
    )

    shots: int = Field(default=4, ge=0, le=4)
    """Worked examples before the edit; half of them, at most two, before the scenarios."""
    planning: Sampling = Sampling(temperature=0.7, max_tokens=1300)
    """Of scenarios."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=1024)

    def needs(self) -> dict[str, Op]:
        """One model imagines and edits, the sandbox parses."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: Asked, ctx: Context) -> Edit | Drop:
        """Ask for ten scenarios, draw one, ask for the edit."""
        if row.get("output"):
            return cast("Edit", {name: row.get(name) for name in self.writes()})
        told = {"instruction": row["instruction"]}
        ask = self.request(SCENARIOS, told, ("instruction", "scenarios"), self.shots // 2)
        reply = await complete(ctx.llm("generator"), ask, self.planning)
        if isinstance(reply, Drop):
            return reply
        scenarios = [text for _, text in NUMBERED.findall(reply.text)]
        if not scenarios or declines(reply.text):
            return Drop("no_scenario", reply.text)
        told["scenario"] = ctx.rng.choice(scenarios)
        ask = self.request(EDIT, told, ("instruction", "scenario", "edit"), self.shots)
        reply = await complete(ctx.llm("generator"), ask, self.sampling)
        if isinstance(reply, Drop):
            return reply
        parts = _parts(reply.text)
        if isinstance(parts, Drop):
            return parts
        for code in parts:
            facts = found(await ctx.sandbox.run(inspection(code_facts, "facts", code)))
            if not facts or "error" in facts:
                return Drop("not_python", (facts or {}).get("error", "it could not be parsed"))
        before, after = parts
        return {"input": before, "output": after, "gen": reply.gen, "scenario": told["scenario"]}

    def request(
        self, text: str, told: dict[str, str], parts: tuple[str, ...], n: int
    ) -> list[Message]:
        """Return rules, worked examples, and what is told up to the part that is asked for."""
        for example in [*_examples()[:n], told]:
            text += "\n"
            for part in parts:
                text += f"\n### {part.capitalize()}\n{example.get(part, '')}".rstrip()
        return [{"role": "user", "content": text}]


def _parts(text: str) -> tuple[str, str] | Drop:
    """Return the code before and after; a Drop for a reply that is no edit."""
    if said := declines(text):
        return Drop("refusal", said)
    halves = PARTS.match(text)
    before, after = (python_code(half) for half in halves.groups()) if halves else (None, None)
    if before is None or after is None:
        return Drop("no_parts", text)
    if _bare(before) == _bare(after):
        return Drop("no_change", before)
    return Drop("ends_with_colon", after) if after.rstrip().endswith(":") else (before, after)


def _bare(code: str) -> list[str]:
    """Return the lines of code that have something in them, without white space at their ends."""
    return [line.rstrip() for line in code.split("\n") if line.strip()]


@cache
def _examples() -> tuple[dict[str, Any], ...]:
    """Return the worked examples, each with every part of both prompts."""
    return tuple(orjson.loads(line) for line in EXAMPLES.read_bytes().splitlines())
