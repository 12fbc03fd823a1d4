"""An engine whose texts can be traced from reply to reply, and that gives its prompts away.

Every phrase has a word of its own. So a kept row shows which replies it is from, and what stood in
the prompt of each says what that reply could know. Where a method wants parts in an order, a reply
has them: else nothing would be kept of which anything could be said.
"""

import random
import re
from typing import Any

from pydantic import Field

from gristmill.engines.requests import Completion
from tests.conftest import text_of
from tests.recipes.babble import Obliging, phrase, texts

WORD = re.compile(r"\bzv(?:[aeiou][bdfgklmnprst]){4}\b")
HEADING = re.compile(r"(?m)^#{2,} .+$")
LABEL = re.compile(r"(?m)^(?:\d+\. )?[A-Z]\w{3,15}:(?=\n| |$)")
WISH = re.compile(r"### (?:(\w+), )?(\w+) or (\w+)$")
GOOD = ("yes", "toxic", "different", "same", "related")
FORMS = tuple(
    (re.compile(pattern), form)
    for pattern, form in {
        r"(?s)(\w+ [AB]): number/(\d+)\n(\w+ [AB]): number": r"\1: 9/\2" + "\n" + r"\3: 4/\2",
        r"(\w+): number/(\d+)": "PHRASE\n" + r"\1: 7/\2",
        r"with one decimal": "PHRASE\nScore: 6.5",
        r'"label", one of (\w+)': r'{"label": "\1", "line": 1, "explanation": "PHRASE"}',
        r"(?s)into four parts.*### Explanation\n(.+?)\n": "Issue: PHRASE\nRule: " + r"\1"
        "\nApplication: " + r"\1" + "\nConclusion: C, " + r"\1",
        r'"Answer:", then behind|same two labels': "Answer: PHRASE\nExplanation: PHRASE",
        r"one line per criterion": "\n".join(f"{i} | 1" for i in range(1, 7)),
        r"Reply with two words": "different harmless",
        r"instruction, conversation or plain": "plain",
        r"Main findings: (.+)": r"PHRASE It was found: \1",
        r"(?s)one pair per line.*and (\w+) were isolated from (\w+ \w+)": r"\2; \1",
        r"(?s)one label on each line.*### Fields\n(?:- )?([^\n:]+)": r"\1: even numbers",
        r"> between them": "2 > 4 > 1 > 3",
        r'"note"': '{"one": {"instruction": "PHRASE", "input_fields": ["note"], '
        '"output_field": "clothes"}}',
        r"Final answer: \.\.\.": "PHRASE\nFinal answer: Port Ellis",
        r"(?s)<noinput>.*(\d+)\. Instruction:$": "PHRASE\n" + r"\1. Input:" + "\n<noinput>\n"
        r"\1. Output:" + "\nPHRASE",
        r"(?s)### Request\n.*### Answer 1": "PHRASE",
        r'(?s)"User:" or "Assistant:".*### Facts\n.*?(\d+)': "User: Say how banyans from "
        r"\1 differ." + "\nAssistant: See how roots from " + r"\1 differ.",
        r"(?s)\nConstraints: .*Instruction:$": "PHRASE\nInput: PHRASE\nConstraints: none",
    }.items()
)
"""What a prompt says, and a reply to it in the form that it wants."""


class Traced(Obliging):
    """Says things that can be traced, and remembers what each of them was made from."""

    babble_rate: float = 0.0
    leak_rate: float = 0.0
    """Share (0..1) of the replies that have a heading of their prompt; of a plain text, a label."""
    knew: dict[str, set[str]] = Field(default_factory=dict)
    """Of each word that it wrote, those of the prompt and of the whole reply."""
    leaked: set[str] = Field(default_factory=set)
    """The headings that it gave away."""

    async def generate(self, request: Any) -> Completion:
        done, fate = await super().generate(request), random.Random(request.key("traced"))
        text = done.text
        if done.finish_reason == "stop" and text and "quokka" not in text:
            other = formed(text_of(request), fate)
            text = other if other and other.startswith("{") >= bool(request.schema) else text
            if not request.schema and fate.random() < self.leak_rate:
                is_plain = isinstance(request.prompt, str)
                text = self._leaky(text, text_of(request), fate, is_plain=is_plain)
        for stop in request.sampling.stop:
            text = text.partition(stop)[0]
        text = re.sub(r"(?<=how )(?=\w+ from \d)", lambda _: f"{word(fate)} ", text)
        asked, made = words(_plain(request.prompt)), words(text)
        self.knew.update(dict.fromkeys(made - asked, asked | made))
        return Completion(text, done.finish_reason, 10, len(text.split()), "traced")

    see = generate

    def _leaky(self, text: str, prompt: str, fate: random.Random, *, is_plain: bool) -> str:
        labels = LABEL.findall(prompt) if is_plain else []
        if not (found := HEADING.findall(prompt) or labels):
            return text
        heading = fate.choice(found)
        self.leaked.add(heading)
        first, end, rest = text.partition("\n")
        forms = [f"{heading}\n{text}", f"{text}\n\n{heading}\nAs before."]
        return fate.choice([*forms, f"{first}\n{heading}\n{rest}"] if end else forms)

    def known(self, said: set[str]) -> set[str]:
        """Return the words that stood before whoever wrote words, they themselves among them."""
        return said.union(*(self.knew.get(one, set()) for one in said))


class Killed(BaseException):
    """Ends a run as a kill does: nobody catches it."""


class Mortal(Traced):
    """Dies instead of its n-th answer."""

    dies_at: int = 0

    def chance(self, request: Any) -> random.Random:
        if len(self.asked) + 1 == self.dies_at:
            raise Killed
        return super().chance(request)


def word(chance: random.Random) -> str:
    """Return a word that no language has, hardly ever the same twice."""
    return "zv" + "".join(chance.choice("aeiou") + chance.choice("bdfgklmnprst") for _ in range(4))


def words(value: Any) -> set[str]:
    """Return the words of ours in all texts of a value."""
    return {found for text in texts(value) for found in WORD.findall(text.casefold())}


def formed(prompt: str, chance: random.Random) -> str | None:
    """Return a reply in the form that a prompt wants, if it is one that we know."""
    if wish := WISH.search(prompt):
        choices = [choice.lower() for choice in wish.groups() if choice]
        return next((good for good in GOOD if good in choices), None) or chance.choice(choices)
    for pattern, form in FORMS:
        if found := pattern.search(prompt):
            return re.sub("PHRASE", lambda _: phrase(chance), found.expand(form))
    return None


def _plain(prompt: Any) -> Any:
    return prompt if isinstance(prompt, str) else [turn["content"] for turn in prompt]
