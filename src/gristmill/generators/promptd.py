"""PRoMPTd: every prompt is rewritten until it is clear, then a model answers the rewrite.

Source: Srivastava et al., "Instances Need More Care: Rewriting Prompts for Instances with LLMs in
the Loop Yields Better Zero-Shot Performance", arXiv:2310.02107, sections 2 and 3;
`salokr/PRoMPTd`.
Differs from the paper: our own ten demonstrations; a rewrite that loses a number, an address or
code, or tells the known answer, is not used: the prompt stays as it was, and the row says why.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal, NotRequired, TypedDict

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.fidelity import lost
from gristmill.text.refusals import NON_ANSWERS, non_answer
from gristmill.text.turns import question, user
from gristmill.text.words import words

RULES = """Rewrite a prompt so that whoever reads it alone knows what to do: specific, unambiguous \
and complete. Keep all its data, and do not solve it. Give three parts: the better prompt, the \
type of the task, and the reason for the rewrite.
"""
TURN = """
### Prompt
{prompt}

### Rewrite
{rewrite}
Task type: {task_type}
Reason: {reason}
"""
PARTS = re.compile(
    r"(?is)\A(.*?)^[ \t*]*task type[\s*]*:[\s*]*(.*?)\n[ \t*]*reason[\s*]*:[\s*]*(.+)", re.M
)
EXAMPLES = Path(__file__).with_suffix(".examples.jsonl")


class Prompted(TypedDict):
    """What it reads; a known answer must not stand in the rewrite."""

    instruction: str
    input: NotRequired[str | None]
    output: NotRequired[str | None]


class Rewritten(TypedDict):
    """What it writes."""

    instruction: str
    input: str | None
    output: str
    gen: Gen
    original: str
    task_type: str | None
    reason: str | None
    used: Literal["rewrite", "no_rewrite", "lost_facts", "tells_answer", "bad_reply"]
    """Whether the rewrite was asked, or why the original was."""


class Promptd(RowStage):
    """Make one row of a prompt: the rewrite, or the original where that does not hold."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | NON_ANSWERS

    sampling: Sampling = Sampling(temperature=0.0, max_tokens=2048)
    """For rewrite and answer; the paper's are greedy too."""

    def needs(self) -> dict[str, Op]:
        """A rewriter, and the model of the task."""
        return {"rewriter": "generate", "generator": "generate"}

    async def __call__(self, row: Prompted, ctx: Context) -> list[Rewritten] | Drop:
        """Ask for the rewrite behind ten demonstrations, then for the answer without any."""
        original = question(row["instruction"], row.get("input"))
        ask = user(f"{_shown()}\n### Prompt\n{original}\n\n### Rewrite\n")
        reply = await complete(ctx.llm("rewriter"), [ask], self.sampling)
        parts = None if isinstance(reply, Drop) else PARTS.search(reply.text)
        rewrite = parts[1].removeprefix("### Rewrite").strip() if parts else ""
        used: Literal["rewrite", "no_rewrite", "lost_facts", "tells_answer", "bad_reply"]
        if isinstance(reply, Drop) or parts is None:
            used = "bad_reply"
        elif not rewrite:
            used = "no_rewrite"
        elif lost(original, rewrite):
            used = "lost_facts"
        else:
            used = "tells_answer" if _tells(rewrite, original, row.get("output")) else "rewrite"
        asked = rewrite if used == "rewrite" else original
        answer = await complete(ctx.llm("generator"), [user(asked)], self.sampling)
        if isinstance(answer, Drop):
            return answer
        if code := non_answer(answer.text):
            return Drop(code, answer.text)
        made = Rewritten(
            instruction=asked, input=None, output=answer.text.strip(), gen=answer.gen,
            original=original, task_type=parts[2].strip() if parts else None,
            reason=parts[3].strip() if parts else None, used=used,
        )  # fmt: skip
        return [made]


def _tells(rewrite: str, original: str, gold: str | None) -> bool:
    """Say whether a rewrite has the known answer in it, which the original does not."""
    answer = f" {' '.join(words(gold or ''))} "
    texts = (f" {' '.join(words(text))} " for text in (rewrite, original))
    return bool(answer.strip()) and [answer in text for text in texts] == [True, False]


@cache
def _shown() -> str:
    """Return what all prompts begin with."""
    told = map(json.loads, EXAMPLES.read_bytes().splitlines())
    return RULES + "".join(TURN.format(**one) for one in told)
