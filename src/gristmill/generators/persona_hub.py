"""Persona Hub: who would write or read a text, and who is close to that person.

Source: Ge et al., "Scaling Synthetic Data Creation with 1,000,000,000 Personas", arXiv:2406.20094,
section 2 (text-to-persona and persona-to-persona); `tencent-ailab/persona-hub` (code MIT).
`filters.near_duplicates` and `filters.semantic_duplicates` come next, then `generators.personas`.
Differs from the paper: our own prompts; one step from person to person, where the paper takes up to
six; whoever repeats the one that they come from leaves at once.
"""

from __future__ import annotations

from typing import ClassVar, NotRequired, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import detectors
from gristmill.text.leaks import heads, leak
from gristmill.text.numbered import numbered
from gristmill.text.turns import user
from gristmill.text.words import words

FROM_TEXT = """Who is likely to write, read or like the text below? Describe one such person in a \
single sentence: what they do, and what is particular about how or where they do it. Say nothing \
of the text, and give no name. Reply with the sentence alone.

### Text
{text}

### Person"""
FROM_PERSON = """Below is a person in one sentence. Think of other people who are close to them: \
family, patients, pupils, customers, rivals, colleagues. Describe {n} of them, each in a single \
sentence of their own that can be read without the others: what they do, and what is particular \
about it. Give no names. Reply with a numbered list.

### Person
{person}

### People"""
MARKS = heads([FROM_TEXT, FROM_PERSON])
LONGEST = 60
"""Words of a description above which it is no single sentence. Our choice."""


class Text(TypedDict):
    """What it reads: any text; without an `output` the instruction is taken for it."""

    instruction: NotRequired[str | None]
    output: NotRequired[str | None]


class Person(TypedDict):
    """What it writes: the person as an instruction, which is what `generators.personas` reads."""

    instruction: str
    gen: Gen
    from_text: bool
    """Whether the person comes from the text; else from that person."""


class PersonaHub(RowStage):
    """Make a row of the person that a text leads to, and of each who is close to them."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | {
        "no_list", "no_text", "over_limit", "refusal", "repeated", "template_leak", "wrong_length"
    }  # fmt: skip

    related: int = Field(default=3, ge=0)
    """People who are close to the one of the text. Our choice; 0 asks for none."""
    max_chars: int = Field(default=4000, ge=1)
    """Of a text that are shown: who would read it can be told from its beginning. Our choice."""
    sampling: Sampling = Sampling(temperature=0.7, max_tokens=512)

    def needs(self) -> dict[str, Op]:
        """One model."""
        return {"generator": "generate"}

    async def __call__(self, row: Text, ctx: Context) -> list[Person | Drop] | Drop:
        """Ask for the person, then for the others."""
        text = (row.get("output") or row.get("instruction") or "")[: self.max_chars]
        if not text.strip():
            return Drop("no_text")
        llm = ctx.llm("generator")
        reply = await complete(llm, [user(FROM_TEXT.format(text=text))], self.sampling)
        if isinstance(reply, Drop):
            return reply
        person = " ".join(reply.text.split())
        if code := _flaw(person, reply.text):
            return Drop(code, reply.text)
        made: list[Person | Drop] = [Person(instruction=person, gen=reply.gen, from_text=True)]
        if not self.related:
            return made
        prompt = FROM_PERSON.format(n=self.related, person=person)
        reply = await complete(llm, [user(prompt)], self.sampling, whole=False)
        if isinstance(reply, Drop):
            return [*made, reply]
        if not (people := numbered(reply.text)):
            return [*made, Drop("no_list", reply.text)]
        seen = [words(person)]
        for i, one in enumerate(people):
            is_cut = reply.finish_reason == "length" and i == len(people) - 1
            code = "cut_off" if is_cut else _flaw(one, one)
            code = code or ("repeated" if words(one) in seen else None)
            code = code or ("over_limit" if i >= self.related else None)
            new = Person(instruction=one, gen=reply.gen, from_text=False)
            made.append(Drop(code, one) if code else new)
            seen.append(words(one))
        return made


def _flaw(person: str, said: str) -> str | None:
    """Return why a text describes nobody, if so."""
    if detectors.declines(person):
        return "refusal"
    if leak(said, MARKS):
        return "template_leak"
    return None if 3 < len(person.split()) <= LONGEST else "wrong_length"
