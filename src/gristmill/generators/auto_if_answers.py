"""AutoIF: answer a task, keep what its functions pass and a judge finds to the point, or pair it.

Sources: Dong et al., "Self-play with Execution Feedback: Improving Instruction-following
Capabilities of Large Language Models", arXiv:2406.13542, sections 3.2 and 3.3; `QwenLM/AutoIF`
(Apache-2.0): an alignment above 8, pairs of a pass rate of 0.5 or more with one of 0.
Differs from the papers: our own prompts; at least half of the functions must pass for fine-tuning
too, where the released code takes one; pairs need a judge's word for the chosen answer as well.
"""

from __future__ import annotations

import asyncio
from itertools import product
from typing import ClassVar, Literal, TypedDict

from pydantic import Field

from gristmill.engines.requests import Completion, Gen, Op, Sampling
from gristmill.engines.sandbox.written_checks import asked, pass_rate, said
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.final_score import final_score
from gristmill.text.pairs import Pair, pair
from gristmill.text.turns import user

ANSWER = """Answer the request, and keep strictly to what it demands of the form of the answer.

{instruction}"""
ALIGN = """Judge how well a response answers a query. What is demanded of its form was checked \
already: say whether it is about the query and helps whoever asked. Write a short analysis, then a \
last line "Score: n" with n from 0 to 10.

### Query
{query}

### Demand
{demand}

### Response
{response}

### Analysis"""
Row = TypedDict(
    "Row",
    {
        "instruction": str,
        "meta.auto_if_queries.query": str,
        "meta.auto_if_queries.demand": str,
        "meta.auto_if_checks.functions": list[str],
    },
)


class Answered(Pair, total=False):
    """What it writes: an output, or a pair whose margin is in functions, as `pass_rate`."""

    pass_rate: float
    """Share (0..1) of all functions that the output, or the chosen answer, passes; one that ends by
    an exception or a limit is none of them, and makes no answer a rejected one."""
    alignment: float
    """0..10, the judge's."""
    gen: Gen


class AutoIfAnswers(RowStage):
    """Draw answers, run the functions on each, and judge those that pass."""

    version: ClassVar[int] = 3
    codes: ClassVar[frozenset[str]] = frozenset(
        {"not_followed", "not_checked", "off_topic", "no_pair", *REPLY_CODES}
    )

    n: int = Field(default=8, ge=1)
    """Answers drawn. Our choice."""
    makes: Literal["answers", "pairs"] = "answers"
    """`pairs` joins up to two that pass with up to two that every function fails."""
    min_pass_rate: float = Field(default=0.5, gt=0, le=1)
    min_alignment: float = Field(default=8.0, ge=0, le=10)
    """An answer must be above it."""
    timeout_s: float = Field(default=5.0, gt=0, le=600)
    """Wall-clock limit of one function over all answers, in seconds."""
    sampling: Sampling = Sampling(temperature=1.0)

    def needs(self) -> dict[str, Op]:
        """One model answers, one judges, the sandbox runs."""
        return {"generator": "generate", "judge": "generate", "sandbox": "run"}

    async def __call__(self, row: Row, ctx: Context) -> list[Answered | Drop]:
        """Answer, run, judge."""
        ask = [user(ANSWER.format(instruction=row["instruction"]))]
        llm = ctx.llm("generator")
        drawn = [complete(llm, ask, self.sampling) for _ in range(self.n)]
        found = await asyncio.gather(*drawn)
        texts = {one.text.strip(): one for one in found if not isinstance(one, Drop)}
        functions = row["meta.auto_if_checks.functions"]
        runs = [ctx.sandbox.run(asked(one, [*texts], self.timeout_s)) for one in functions if texts]
        told = [said(verdict, len(texts)) for verdict in await asyncio.gather(*runs)]
        heard = [[one[i] for one in told] for i in range(len(texts))]
        rated = [*zip(texts.values(), map(pass_rate, heard), strict=True)]
        judged = await self._judged(row, rated, ctx)
        lost: list[Answered | Drop] = [one for one in found if isinstance(one, Drop)]
        if self.makes == "answers":
            return [*judged, *lost]
        good = [one for one in judged if not isinstance(one, Drop)][:2]
        bad = [text for text, each in zip(texts, heard, strict=True) if {*each} == {False}][:2]
        pairs: list[Answered | Drop] = [
            _pair(row["instruction"], one, other) for one, other in product(good, bad)
        ]
        none = Drop("no_pair", f"{len(good)} good answers, {len(bad)} bad ones")
        lost += [one for one in judged if isinstance(one, Drop) and one.code != "not_followed"]
        return [*(pairs or [none]), *lost]

    async def _judged(
        self, row: Row, rated: list[tuple[Completion, float | None]], ctx: Context
    ) -> list[Answered | Drop]:
        """Return each answer, or why it is none; only what passes is shown to the judge."""
        judge, greedy = ctx.llm("judge"), Sampling(temperature=0.0, max_tokens=512)
        parts = {"query": row["meta.auto_if_queries.query"]}
        parts["demand"] = row["meta.auto_if_queries.demand"]
        passing = [one for one, rate in rated if rate is not None and rate >= self.min_pass_rate]
        prompts = [ALIGN.format(**parts, response=one.text.strip()) for one in passing]
        asked = [complete(judge, [user(one)], greedy) for one in prompts]
        words = iter(await asyncio.gather(*asked))
        made = list[Answered | Drop]()
        for reply, rate in rated:
            text = reply.text.strip()
            if rate is None:
                made.append(Drop("not_checked", f"no function could tell: {text}"))
            elif rate < self.min_pass_rate:
                made.append(Drop("not_followed", f"{rate:.2f} of the functions: {text}"))
            elif isinstance(word := next(words), Drop):
                made.append(word)
            elif (score := final_score(word.text)) is None:
                made.append(Drop("unparsed_judge", word.text))
            elif score <= self.min_alignment:
                made.append(Drop("off_topic", f"alignment {score}: {text}"))
            else:
                columns = {"output": text, "pass_rate": rate, "alignment": float(score)}
                made.append(Answered(**columns, gen=reply.gen))  # type: ignore[typeddict-item]
        return made


def _pair(prompt: str, good: Answered, bad: str) -> Answered:
    writers, rate = ("generator", "generator"), good["pass_rate"]
    return {**good, **pair(prompt, good["output"] or "", bad, rate, writers)}
