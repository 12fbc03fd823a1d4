"""Guaranteed Guess: a program is translated several times; the first that tests bear out stays.

Source: Heakl et al., "Guaranteed Guess: A Language Modeling Approach for CISC-to-RISC Transpilation
with Testing Guarantees", arXiv:2506.14606, section 3; `ahmedheakl/Guaranteed-Guess` (MIT).
Differs from the paper: source to source and not assembly, which would need compilers and emulators
of other machines; draws in the place of beams; our own prompt; no reference, so no edit distance.
What is right is what the source prints, in two runs. A guarantee is that of tests, no proof.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar, Literal, Self, TypedDict

from pydantic import Field, model_validator

from gristmill.engines.requests import Completion, Gen, Message, Op, Sampling
from gristmill.engines.sandbox.scripts import Script, coverage, printed, wrong
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.fences import LANGUAGES, fenced, fences

Language = Literal["python", "cpp", "javascript"]
NAMES = {"python": "Python", "cpp": "C++", "javascript": "JavaScript for Node.js"}
PROMPT = """Translate a program into another language. It reads standard input and prints: for \
every input the translation prints exactly the same. Whole numbers may not overflow where those of \
the program do not, and nothing but the standard library is used. Reply with one block of code.

### From {source} to {target}
{block}

### Translation"""


class Source(TypedDict):
    """What it reads: a program, and texts for its standard input."""

    code: str
    stdin: list[str]


class Translated(TypedDict):
    """What it writes."""

    instruction: str
    output: str
    inputs: list[str]
    outputs: list[str]
    """What the program prints for each of the inputs, and so does the translation."""
    beam_rank: int
    """Which translation is the first right one; 1 is the first."""
    coverage: float | None
    """Share of lines that the inputs reach, 0 to 1; of the program or else the translation, if one
    is Python."""
    gen: Gen


class GuaranteedGuess(RowStage):
    """Run the program, ask for translations, keep the first that prints the same."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "no_inputs", "missing_tool", "bad_source", "flaky", "weak_tests", "no_code", "wrong",
    }  # fmt: skip

    source: Language = "cpp"
    """What the programs are written in."""
    target: Language = "python"
    """What they are translated into."""
    beams: int = Field(default=8, ge=1, le=64)
    """Translations of each; the paper has 8 beams."""
    min_coverage: float = Field(default=0.98, ge=0, le=1)
    """Inputs that reach less are weak tests; the paper's reach more than 0.98. 0: not asked,
    as it has to be where neither side is Python."""
    timeout_s: float = Field(default=20.0, gt=0, le=600)
    """Wall-clock limit of one run in seconds; the paper's of compiling."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=2048)

    @model_validator(mode="after")
    def _can_measure(self) -> Self:
        """Refuse to ask for what nobody can say: only lines of Python are counted."""
        if self.min_coverage and "python" not in (self.source, self.target):
            raise ValueError(
                f"min_coverage={self.min_coverage}: nobody measures {self.source} or "
                f"{self.target}; set min_coverage to 0"
            )
        return self

    def needs(self) -> dict[str, Op]:
        """One model translates, the sandbox runs."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: Source, ctx: Context) -> Translated | Drop:
        """Ask for all translations at once, and judge them in their order."""
        inputs, run = row["stdin"] or [], ctx.sandbox.run
        if not inputs:
            return Drop("no_inputs", "the row has no inputs to run the program on")
        script = Script(row["code"], self.source, inputs, self.timeout_s)
        outputs = await printed(run, script)
        if isinstance(outputs, tuple):
            return Drop(*outputs)
        reached = await coverage(run, script)
        if reached is not None and reached < self.min_coverage:
            return Drop("weak_tests", f"inputs reach {reached:.2f} of the program")
        names = {"source": NAMES[self.source], "target": NAMES[self.target]}
        block = fenced(row["code"].strip(), self.source)
        text = PROMPT.format(**names, block=block)
        ask: list[Message] = [{"role": "user", "content": text}]
        asked = (complete(ctx.llm("generator"), ask, self.sampling) for _ in range(self.beams))
        last = Drop("no_code")
        for i, reply in enumerate(await asyncio.gather(*asked)):
            judged = await self.judged(reply, inputs, outputs, ctx)
            if isinstance(judged, Drop):
                last = judged
                continue
            found, gen = judged
            reached = await coverage(run, found) if reached is None else reached
            if (reached or 0.0) < self.min_coverage:
                return Drop("weak_tests", f"inputs reach {reached} of the translation")
            return {
                "instruction": f"Translate this program from {names['source']} to "
                f"{names['target']}.\n\n{block}",
                "output": fenced(found.code, self.target),
                "inputs": inputs,
                "outputs": outputs,
                "beam_rank": i + 1,
                "coverage": reached,
                "gen": gen,
            }
        return last

    async def judged(
        self, reply: Completion | Drop, inputs: list[str], outputs: list[str], ctx: Context
    ) -> tuple[Script, Gen] | Drop:
        """Return the translation of a reply, the last block, if it prints what it should."""
        if isinstance(reply, Drop):
            return reply
        blocks = [f for f in fences(reply.text) or () if f.language in LANGUAGES[self.target]]
        if not blocks:
            return Drop("no_code", reply.text)
        found = Script(blocks[-1].text, self.target, inputs, self.timeout_s)
        why = await wrong(ctx.sandbox.run, found, outputs)
        return Drop(*why) if why else (found, reply.gen)
