"""SPaR, first half: evolve an instruction by constraints of several kinds.

Source: Cheng et al., "SPaR: Self-Play with Tree-Search Refinement to Improve Instruction-Following
in Large Language Models", arXiv:2412.11605, section 2.2 and appendix A; `thu-coai/SPaR`
(Apache-2.0): one main kind and one to three more, of 14 in three classes. `spar_search` goes on.
Differs from the paper: our own prompt and descriptions of the kinds.
"""

from __future__ import annotations

from typing import ClassVar, NotRequired, TypedDict

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.rouge import repeats
from gristmill.text.turns import question
from gristmill.text.words import words

EVOLVE = """Add constraints to an instruction, so that an answer has more to keep to: one of the \
main kind and one of each further kind, each concrete, all of them together possible to meet. Keep \
what the instruction asks for. Write the new instruction between [[start]] and [[end]]. If it is a \
task in mathematics or code, where constraints of this kind make no sense, write None alone.

### Main kind
{main}

### Further kinds
{others}

### Instruction
{instruction}

### New instruction"""
KINDS = {
    "Format": {
        "length": "how many words, sentences or paragraphs",
        "text format": "Markdown, JSON, a table, a list",
        "character format": "capital or small letters, bold or italic",
        "template": "fixed headings or a form to fill in",
        "punctuation": "marks that must or must not be there",
        "numeric": "how many items, steps or examples",
    },
    "Content": {
        "keyword": "words that must or must not be there, or how often",
        "symbol": "a sign, an emoji or a marker at a given place",
        "sentence": "a sentence that must stand there, or how some must begin or end",
        "genre": "a letter, a poem, a dialogue, a report",
    },
    "General": {
        "language": "the language, or a mix of two",
        "situation": "a role to take or a reader to write for",
        "style": "formal, plain, humorous, in the manner of an age",
        "sentiment": "the mood that it must carry",
    },
}
ALL = {name: what for some in KINDS.values() for name, what in some.items()}
START, END = "[[start]]", "[[end]]"


class Seed(TypedDict):
    """What it reads."""

    instruction: str
    input: NotRequired[str | None]


class Evolved(TypedDict):
    """What it writes; the first kind is the main one."""

    instruction: str
    input: str | None
    kinds: list[str]
    gen: Gen


class Spar(RowStage):
    """Make an instruction with two to four kinds of constraints of one without."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"not_suited", "no_marker", "no_gain"}

    sampling: Sampling = Sampling(temperature=0.7)

    def needs(self) -> dict[str, Op]:
        """One role."""
        return {"generator": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> Evolved | Drop:
        """One call."""
        text = question(row["instruction"], row.get("input"))
        kinds = ctx.rng.sample(list(ALL), 1 + ctx.rng.randint(1, 3))
        main, *others = (f"- {kind}: {ALL[kind]}" for kind in kinds)
        prompt = EVOLVE.format(main=main, others="\n".join(others), instruction=text)
        reply = await complete(
            ctx.llm("generator"), [{"role": "user", "content": prompt}], self.sampling
        )
        if isinstance(reply, Drop):
            return reply
        if not (made := between(reply.text)):
            is_none = words(reply.text) == ["none"]
            return Drop("not_suited" if is_none else "no_marker", reply.text)
        if repeats(words(made), words(text)):
            return Drop("no_gain", f"repeats its parent: {made}")
        return {"instruction": made, "input": None, "kinds": kinds, "gen": reply.gen}


def between(reply: str) -> str:
    """Return what stands first between the two markers; nothing if nothing does."""
    at = 0
    while (start := reply.find(START, at)) >= 0 and (at := reply.find(END, start)) >= 0:
        if text := reply[start + len(START) : at].strip():
            return text
    return ""
