"""R-Tuning: a model is asked what it is to learn, and learns to say whether it knew.

Source: Zhang et al., "R-Tuning: Instructing Large Language Models to Say 'I Don't Know'",
arXiv:2311.09677, section 3; `shizhediao/R-Tuning`. `generators.r_tuning_uncertain` needs no answer
to compare with.
Differs from the paper: an answer is known if its words stand there undenied, not if its letters do;
our own sentences. What was known is marked, neither balanced nor held out. Loss on answer and
certainty alone is the trainer's, and so is to ask for the certainty again.
"""

from __future__ import annotations

from typing import ClassVar, Literal, NotRequired, TypedDict

from gristmill.engines.requests import Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.known import bare, checked, is_known
from gristmill.text.sentences import first_sentence
from gristmill.text.turns import WholeTurn, question, whole

ASK = "Question: {question}\nAnswer:"
NOT_KNOWN = tuple(
    """I do not know the answer to this.
That is beyond what I know.
I am not certain enough to answer that.
I have no reliable knowledge of this.
I cannot tell; I lack the facts.
This is something that I do not know.
I would only be guessing here.
My knowledge does not reach that far.
I am unable to say with confidence.
The answer is not known to me.
I have not learnt that.
I cannot give you a trustworthy answer.
I do not have that information.
It is unclear to me what the answer is.
I am unaware of the answer.
I must admit that I do not know.""".splitlines()
)
"""Sixteen ways to say it, as in the paper."""
LETTERS = "ABCD"


class Asked(TypedDict):
    """What it reads; `output` is the right answer, or its letter where there are choices."""

    instruction: str
    input: NotRequired[str | None]
    output: str
    aliases: NotRequired[list[str] | None]
    choices: NotRequired[list[str] | None]


class Told(TypedDict):
    """What it writes."""

    instruction: str
    input: str | None
    output: str
    messages: list[WholeTurn]
    known: bool
    prediction: str


class RTuning(RowStage):
    """Ask the model that is to be trained, then make one row that says whether it knew."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"no_gold_choice"}

    method: Literal["unsure", "unknown"] = "unsure"
    """`unsure`: the right answer, then a check whether it was known; `unknown`: the right answer
    where it was known, else a sentence that it is not."""
    ask: Literal["text", "choice"] = "text"
    """Compare what the model writes, or the letter (A to D) that it gives most probability."""
    few_shot: str = ""
    """Worked questions before every question of choice, the same for a whole subject."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=15)
    """An answer is cut at its first full stop."""

    def needs(self) -> dict[str, Op]:
        """The model that will be trained on the rows."""
        return {"generator": "choice" if self.ask == "choice" else "generate"}

    async def __call__(self, row: Asked, ctx: Context) -> list[Told] | Drop:
        """Ask once."""
        asked = question(row["instruction"], row.get("input"))
        answer, known, prediction = row["output"].strip(), False, ""
        if self.ask == "choice":
            choices = row.get("choices") or []
            gold = _letter(answer, choices)
            if not gold:
                return Drop("no_gold_choice", f"{answer} is none of {choices}")
            options = "".join(f"\n{x}. {text}" for x, text in zip(LETTERS, choices, strict=False))
            asked, answer = asked + options, choices[LETTERS.index(gold)]
            shown = f"{self.few_shot}{ASK.format(question=asked)}"
            labels = tuple(LETTERS[: len(choices)])
            values = (await ctx.llm("generator").choice(shown, labels)).values
            prediction = max(labels, key=values.__getitem__)
            known = prediction == gold
        else:
            prompt = ASK.format(question=asked)
            reply = await complete(ctx.llm("generator"), prompt, self.sampling, whole=False)
            if isinstance(reply, Drop):
                return reply
            prediction = first_sentence(reply.text)
            known = is_known(prediction, [answer, *(row.get("aliases") or [])])
        turns = checked(asked, answer, is_sure=known)
        if self.method == "unknown":
            said = answer if known else ctx.rng.choice(NOT_KNOWN)
            turns = [whole("user", asked), whole("assistant", said)]
        return [
            Told(
                instruction=asked,
                input=None,
                output=turns[-1]["content"],
                messages=turns,
                known=known,
                prediction=prediction,
            )
        ]


def _letter(answer: str, choices: list[str]) -> str | None:
    """Return the letter of the right choice, which is named by its text or by its letter."""
    letters = LETTERS[: len(choices)] if 1 < len(choices) <= len(LETTERS) else ""
    same = [x for x, text in zip(letters, choices, strict=False) if bare(text) == bare(answer)]
    named = [x for x in letters if x == answer.strip("(). ").upper()]
    return next(iter(same + named), None)
