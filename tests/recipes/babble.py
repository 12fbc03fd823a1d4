"""Engines that answer by the request alone: one says anything, the other mostly what it is asked.

They read no paper. The second looks in the prompt for labels, headings, words to choose from,
numbers and shapes of JSON, and fills them with chance: so rows come through methods that it knows
nothing of.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, get_args

import numpy as np
from pydantic import Field

from gristmill.engines.attending import Attended
from gristmill.engines.base import Engine
from gristmill.engines.diverging import Divergences
from gristmill.engines.entropies import Entropies
from gristmill.engines.rating import Rating
from gristmill.engines.requests import Completion, LogProbs, Op, Probs, Vector
from gristmill.errors import PromptRefused, PromptTooLong
from tests.conftest import text_of

VERBS = ("Explain", "Describe", "Compare", "Summarise", "Name", "Plan", "List", "Estimate")
NOUNS = ("rivers", "bridges", "clocks", "gardens", "mills", "ovens", "stamps", "violins", "tents")
LABEL = re.compile(r'"([A-Z][\w ]{1,20}:)')
KEY = re.compile(r'"([a-z_]+)"')
START = re.compile(r"(?m)^([A-Z][\w ]{1,20}:)")
HEAD = re.compile(r"(?m)^### .+$")
EITHER = re.compile(r": (\w+(?:, \w+)*),? or (\w+)\.")
SAYS = (
    "", "I'm sorry, but I can't help with that.", "[]", "{}", "null", "Yes", "A", "B", "1", "7/10",
    "4.5",
    '{"label": ["one", {"two": 3}]}', "1. Sort a list.\n2. Name a river.\n3. Add two numbers.",
    "### Instruction\nName {a} river {{ of }}.\n### Response\nThe Danube.", "<|im_end|> # Task\n{",
    "```python\ndef f(x):\n    return x * x\n```\n```python\nassert f(3) == 9\n```",
    "Question: What is 2 + 3?\nAnswer: 5\nScore: 8\nVerdict: yes",
)  # fmt: skip
ROWS = [
    {
        "instruction": f"Say in a sentence why the number {i} is {'odd' if i % 2 else 'even'}.",
        "output": f"The number {i} is {'odd' if i % 2 else 'even'}, as its last digit shows.",
    }
    for i in range(6)
]


class Babble(Engine):
    """Answers everything, by the request alone, or cannot read a prompt."""

    ops: ClassVar[frozenset[Op]] = frozenset(get_args(Op)) - {"run", "train"}
    unread_rate: float = 0.2
    """Share (0..1) of the prompts that it refuses: every second is too long."""
    asked: list[Any] = Field(default_factory=list)

    @property
    def identity(self) -> str:
        return "babble"

    def chance(self, request: Any) -> random.Random:
        self.asked.append(request)
        return random.Random(request.key(""))

    def keys(self) -> list[str]:
        """Return the names of all requests so far."""
        return [request.key(self.identity) for request in self.asked]

    async def generate(self, request: Any) -> Completion:
        if (drawn := random.Random(request.key("unread")).random()) < self.unread_rate:
            too_long = drawn < self.unread_rate / 2
            raise PromptTooLong("9 > 8") if too_long else PromptRefused("no such role")
        chance = self.chance(request)
        text = chance.choice([*SAYS, text_of(request)[-80:]])
        finish: Any = chance.choice(["stop"] * 9 + ["length"])
        return Completion(text, finish, 10, len(text.split()), "babble")

    see = generate

    async def score(self, request: Any) -> LogProbs:
        values = [-chance for chance in self.numbers(request, len(request.response.split()))]
        return LogProbs(values, 4, len(values))

    async def entropy(self, request: Any) -> Entropies:
        values = self.numbers(request, len(request.response.split()))
        return Entropies([-v for v in values], values, 1000, 4, len(values))

    async def diverge(self, request: Any) -> Divergences:
        values = self.numbers(request, len(request.response.split()))
        return Divergences([v / 5 for v in values], 4, len(values))

    async def attend(self, request: Any) -> Attended:
        n = sum(message["role"] == "assistant" for message in request.messages)
        return Attended(list(self.numbers(request, n)), 10, cut=False)

    async def rate(self, request: Any) -> Rating:
        return Rating(self.numbers(request, 1)[0], 10)

    async def embed(self, request: Any) -> Vector:
        values = np.array(self.numbers(request, 8), np.float32)
        return Vector(values / np.linalg.norm(values), 5, cut=False)

    async def choice(self, request: Any) -> Probs:
        values = self.numbers(request, len(request.labels))
        shares = [value / sum(values) for value in values]
        return Probs(dict(zip(request.labels, shares, strict=True)), 1.0, 10)

    def numbers(self, request: Any, n: int) -> list[float]:
        chance = self.chance(request)
        return [chance.uniform(0.1, 3.0) for _ in range(n)]


BAD: tuple[tuple[str, Any], ...] = (
    ("{text} And then the quokka", "length"),
    ("", "stop"),
    ("I'm sorry, but I can't help with that, says the quokka.", "stop"),
)
"""Replies that no row may keep, cut off, empty and refused: what they say and how they finish."""


class Obliging(Babble):
    """Mostly does what is asked; else gives a bad reply or babbles."""

    unread_rate: float = 0.0
    bad_rate: float = 0.15
    babble_rate: float = 0.1
    """Shares (0..1) of the replies that are bad, and any text at all."""

    async def generate(self, request: Any) -> Completion:
        fate = random.Random(request.key("fate"))
        if (drawn := fate.random()) < self.babble_rate:
            return await super().generate(request)
        chance = self.chance(request)
        if getattr(request, "schema", ""):
            text = fill(json.loads(request.schema), chance)
        else:
            text = oblige(text_of(request), chance)
        finish: Any = "stop"
        if drawn < self.babble_rate + self.bad_rate:
            said, finish = fate.choice(BAD)
            text = said.format(text=text)
        return Completion(text, finish, 10, len(text.split()), "babble")

    see = generate


def phrase(chance: random.Random) -> str:
    """Return a short instruction that is hardly ever the same twice."""
    one, other = chance.sample(NOUNS, 2)
    return (
        f"{chance.choice(VERBS)} how {one} from {chance.randint(1500, 1999)} differ from {other}."
    )


def oblige(prompt: str, chance: random.Random) -> str:
    """Return what a prompt seems to ask for: what its rules say, or more of what it has."""
    rules = prompt[:1500]
    if found := EITHER.search(rules):
        return chance.choice([*found[1].split(", "), found[2]])
    if "two numbers" in rules:
        return f"{chance.randint(1, 10)} {chance.randint(1, 10)}"
    if "JSON" in rules and (names := dict.fromkeys(KEY.findall(prompt))):
        one = {name: _named(name, rules, chance) for name in names}
        return f"```json\n{json.dumps(one)}\n```"
    if "numbered list" in rules or re.search(r"\n\d+\.$", prompt):
        return "\n".join(f"{i}. {phrase(chance)}" for i in range(1, 5))
    if "one per line" in rules.lower():
        return "\n".join(phrase(chance) for _ in range(4))
    if (last := prompt.rpartition("\n")[2]).endswith(":"):
        return chance.choice(
            re.findall(rf"(?m)^{re.escape(last)} *(\S.*)$", prompt) or [phrase(chance)]
        )
    starts = Counter(START.findall(prompt))
    labels = dict.fromkeys([*LABEL.findall(rules), *(one for one, n in starts.items() if n > 1)])
    if labels:
        return "\n".join(f"{label} {phrase(chance)}" for label in labels)
    if "its heading" in rules:
        return "\n".join(f"{head}\n{phrase(chance)}" for head in HEAD.findall(rules)[:4])
    return phrase(chance)


def _named(name: str, rules: str, chance: random.Random) -> Any:
    is_list = re.search(rf'"{name}",[^";]*list', rules)
    return [phrase(chance) for _ in range(3)] if is_list else phrase(chance)


def fill(shape: Any, chance: random.Random) -> str:
    """Return a text of a shape: one of those allowed, or JSON of a schema."""
    if isinstance(shape, list):
        return str(chance.choice(shape))
    return json.dumps(_value(shape, shape.get("$defs", {}), chance))


def _value(shape: dict[str, Any], named: dict[str, Any], chance: random.Random) -> Any:
    if "$ref" in shape:
        return _value(named[shape["$ref"].rpartition("/")[2]], named, chance)
    if choices := shape.get("enum") or shape.get("anyOf") or shape.get("oneOf"):
        one = chance.choice(choices)
        return _value(one, named, chance) if "enum" not in shape else one
    if "const" in shape:
        return shape["const"]
    return _plain(shape, named, chance)


def _plain(shape: dict[str, Any], named: dict[str, Any], chance: random.Random) -> Any:
    low, high = shape.get("minimum", 1), shape.get("maximum", 5)
    match shape.get("type"):
        case "object":
            inner: dict[str, Any] = shape.get("properties", {})
            return {key: _value(one, named, chance) for key, one in inner.items()}
        case "array":
            n = shape.get("minItems", 2)
            return [_value(shape.get("items", {}), named, chance) for _ in range(n)]
        case "integer":
            return chance.randint(low, high)
        case "number":
            return chance.uniform(low, high)
        case "boolean":
            return chance.random() < 0.5
        case "null":
            return None
    return phrase(chance)


def texts(value: Any) -> Sequence[str]:
    """Return every text in a value."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in texts(one)]
