"""Dialogue trees: which utterance to go on from, what utterances are worth, and pairs of them.

Source: Chen et al., "Optima: Optimizing Effectiveness and Efficiency for LLM-Based Multi-Agent
System", arXiv:2410.08115, section 2.4; `thunlp/Optima` for the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import exp
from typing import Literal, NamedTuple, Protocol, TypedDict

from gristmill.text.faults import likeness
from gristmill.text.known import bare

NEAR, SAME = 0.25, 0.1
"""Normalised edit distance (0..1) below which two nodes are not both explored; of equal ones."""
ANSWER = re.compile(r"(?im)^[ \t*#]*final answer[ \t*]*:[ \t*]*(\S.*)$")
TOP = 10
"""Nodes of the highest value, of which one is drawn."""


class Utterance(NamedTuple):
    """What one party says."""

    text: str
    tokens: int


Run = list[Utterance]
"""Both parties in turn."""


class Chance(Protocol):
    """Random numbers that the caller has seeded."""

    def choices(self, population: Sequence[Node], weights: Sequence[float]) -> list[Node]:
        """Return one of them."""
        ...


@dataclass(slots=True, eq=False)
class Node:
    """An utterance; the root is the task, of no tokens."""

    said: Utterance
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    total: float = 0.0
    """Of the rewards of the runs through it."""
    visits: int = 0

    @property
    def value(self) -> float:
        """Mean reward of the runs through it; 0 before the first."""
        return self.total / self.visits if self.visits else 0.0

    def path(self) -> Run:
        """Return what was said up to it, the task left out."""
        return [*self.parent.path(), self.said] if self.parent else []

    def walk(self) -> Iterator[Node]:
        """Yield it and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def add(self, said: Run, reward: float) -> None:
        """Add a run that goes on from here; an utterance much like a sibling is that sibling."""
        node = self
        for one in said:
            like = (kid for kid in node.children if apart(kid.said.text, one.text) <= SAME)
            if (found := next(like, None)) is None:
                node.children.append(found := Node(one, node))
            node = found
        up: Node | None = node
        while up:
            up.total, up.visits, up = up.total + reward, up.visits + 1, up.parent


class Told(TypedDict):
    """A node as a row keeps it; `parent` is its place in the list, None of the task, the first."""

    text: str
    parent: int | None
    value: float
    visits: int


def told(root: Node) -> list[Told]:
    """Return a tree as a list, parents first."""
    places = {id(node): place for place, node in enumerate(root.walk())}
    return [
        Told(
            text=node.said.text,
            parent=places[id(node.parent)] if node.parent else None,
            value=node.value,
            visits=node.visits,
        )
        for node in root.walk()
    ]


def apart(one: str, other: str) -> float:
    """Return the normalised edit distance of two texts, 0..1."""
    return 1 - likeness(one, other)


def explored(root: Node, before: Sequence[Node], rng: Chance) -> Node:
    """Draw the next node to go on from, by the soft-max of the values of the best.

    It is the root or has grandchildren, and is unlike those before; the root where none is left.
    """
    deep = [node for node in root.walk() if node is root or any(k.children for k in node.children)]
    fit = [
        node
        for node in deep
        if all(apart(node.said.text, other.said.text) >= NEAR for other in before)
    ]
    best = sorted(fit, key=lambda node: -node.value)[:TOP] or [root]
    return rng.choices(best, [exp(node.value) for node in best])[0]


def ranked(root: Node, min_best: float, min_gap: float) -> list[tuple[Node, Node]]:
    """Return the best and the worst child of nodes where both differ enough, the best half first.

    The best one's value must be above `min_best`, the difference above `min_gap`.
    """
    pairs = []
    for node in root.walk():
        kids = sorted(node.children, key=lambda kid: -kid.value)
        if len(kids) > 1 and kids[0].value > min_best and kids[0].value - kids[-1].value > min_gap:
            pairs.append((kids[0], kids[-1]))
    pairs.sort(key=lambda pair: -pair[0].value)
    return pairs[: max(1, len(pairs) // 2)]


def tokens(run: Run) -> int:
    """Return how many it takes."""
    return sum(one.tokens for one in run)


def percentile(counts: Sequence[int], percent: int) -> int:
    """Return the least count that so many percent are not above; 1 at least, 0 of none."""
    place = -(-percent * len(counts) // 100) - 1
    return max(1, sorted(counts)[place]) if counts else 0


def final_answer(text: str) -> str:
    """Return the last answer that an utterance says is final, or ""."""
    found = ANSWER.findall(text)
    return found[-1].strip() if found else ""


def agreed(said: Run) -> bool:
    """Say whether the last two utterances have the same final answer."""
    answers = [bare(final_answer(one.text)) for one in said[-2:]]
    return len(answers) == 2 and answers[0] == answers[1] != []


def seen(
    firsts: Sequence[str], said: Run, name: str
) -> list[tuple[Literal["user", "assistant"], str]]:
    """Return turns as the party sees them who is next: its own are the assistant's.

    `firsts` are the prompts of both; the second one's has the first utterance in it, by `name`.
    """
    mine = len(said) % 2
    opening = f"\n{name}: {said[0].text}" if mine else ""
    turns: list[tuple[Literal["user", "assistant"], str]] = [("user", firsts[mine] + opening)]
    for i, one in enumerate(said[mine:]):
        turns.append(("user" if i % 2 else "assistant", one.text))
    return turns
