"""Instruction-complex IFD: difficulty, discounted where the instruction itself is surprising.

Source: Hui et al., "Smaller Language Models Are Better Instruction Evolvers", arXiv:2412.11231,
equation 2: L(A|Q) / (L(Q) L(A)). They keep the highest 25 %; there is no cut at 1.
Differs from the paper: the prose divides by a perplexity, formula and code by the loss, as here.
The line break between question and answer is context, where the code scores it as the first token
of the answer in one pass only; instruction and input are two paragraphs; of a conversation every
answer counts, and every other turn is a part of Q, each after all that was said before.
"""

from __future__ import annotations

from typing import Any, TypedDict

from gristmill.engines.passes import Answered, BothSides, flagged, read
from gristmill.engines.requests import Op
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import RowStage
from gristmill.text.turns import turns

FEWEST = 5
"""Tokens of Q; the mean over fewer says nothing, and a short Q would make any score large."""
LEAST = 1e-3
"""L(Q) L(A) of a text that the model knows by heart; less would divide by nearly nothing."""


class Discounted(TypedDict, total=False):
    """What it writes; None where a part could not be scored."""

    score: float | None
    """ifd / nll_prompt: above 0, higher is better."""
    ifd: float | None
    """nll_cond / nll_uncond in the same plain layout."""
    nll_prompt: float | None
    """Nats per token of what was asked."""
    nll_cond: float | None
    """Nats per response token, after the question."""
    nll_uncond: float | None
    """Nats per response token, alone."""
    n_prompt: int
    """Tokens of the question that were scored."""
    n_scored: int
    """Tokens of the response that were scored after the question."""
    flags: list[str]
    """As the scorer `ifd` adds them, and `short_prompt` (fewer than 5 tokens), `memorised` (the
    divisor was held at 0.001)."""


class IcIfd(BothSides, RowStage):
    """Score the question, the answer after it, and the answer alone, without a chat template."""

    def needs(self) -> dict[str, Op]:
        """The scorer is a causal language model."""
        return {"scorer": "score"}

    async def __call__(self, row: Answered, ctx: Context) -> Discounted:
        """Three passes per exchange; turns are summed before they are divided."""
        llm, before = ctx.llm("scorer"), ""
        asked, after, alone = list[Any](), list[Any](), list[Any]()
        for i, turn in enumerate(turns(row)):
            text = turn["content"]
            is_answer = bool(i) and turn["role"] == "assistant"
            (after if is_answer else asked).append(llm.score(before, text))
            if is_answer:
                alone.append(llm.score("", text))
            before += f"{text}\n"
        found, flags = await read([*alone, *after, *asked] if alone else [])
        n = len(alone)
        first, second = list[float](), list[float]()
        for with_it, without in zip(found[n : 2 * n], found[:n], strict=True):
            first += with_it.values
            second += without.values[: len(with_it.values)]
        if not first and not flags:
            flags.add("empty_response")
        prompt = [value for answer in found[2 * n :] for value in answer.values]
        out = _discounted(prompt, first, second, flags)
        return {**out, **flagged(row, flags)}


def _discounted(
    prompt: list[float], cond: list[float], uncond: list[float], flags: set[str]
) -> Discounted:
    q, a_given_q, a = _nll(prompt), _nll(cond), _nll(uncond)
    found: Discounted = {
        "score": None,
        "ifd": None,
        "nll_prompt": q,
        "nll_cond": a_given_q,
        "nll_uncond": a,
        "n_prompt": len(prompt),
        "n_scored": len(cond),
    }
    if a_given_q is None or a is None:
        return found
    found["ifd"] = a_given_q / a if a > 0 else None
    if q is None or len(prompt) < FEWEST:
        flags.add("short_prompt")
        return found
    if q * a < LEAST:
        flags.add("memorised")
    found["score"] = a_given_q / max(q * a, LEAST)
    return found


def _nll(values: list[float]) -> float | None:
    return -sum(values) / len(values) if values else None
