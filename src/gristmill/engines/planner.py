"""The order in which requests leave for the engines: those that begin alike together.

An engine keeps what it computed for a prompt's beginning until it needs the room. So requests
that share one go to the same engine, one after the other: depth first through the tree of all
that wait, and at every branch first where answers are long for what is read (BatchLLM,
arXiv:2412.03594, section 4.3), so that they are not what everybody waits for at the end.

The plan is made of what waits, and again when as much has come as is left of it: each request is
planned a few times at most, and no engine waits for a plan. Equal requests are one before they
come here (`client.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, Generic, TypeVar

from gristmill.engines.prefixes import Node, build, grouped, shared
from gristmill.engines.rating import Rate
from gristmill.engines.requests import Choice, Completion, Generate, Request

HEAD = 48
"""Characters that tell one template from another, for the estimate of answers' lengths."""
SEEN = 256
"""Answers that an estimate remembers."""

T = TypeVar("T")


def beginning(request: Request) -> str:
    """Return what an engine reads first, as one text; "" where no beginning can be shared."""
    if not isinstance(request, Generate | Choice | Rate):
        return ""
    said = request.messages if isinstance(request, Rate) else request.prompt
    if isinstance(said, str):
        return said
    return "\n".join(f"{message['role']}\n{message['content']}" for message in said)


class Lengths:
    """Estimates of how long answers get: the 0.9-quantile of the last ones to the same template."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], deque[int]] = {}

    def learn(self, request: Request, answer: Any) -> None:
        """Remember how long an answer was."""
        if isinstance(request, Generate) and isinstance(answer, Completion):
            seen = self._seen.setdefault(_template(request), deque(maxlen=SEEN))
            seen.append(answer.completion_tokens)

    def estimate(self, requests: Sequence[Request]) -> list[int]:
        """Return how many tokens each answer will have; its limit where none is known yet."""
        known = {name: sorted(seen)[len(seen) * 9 // 10] for name, seen in self._seen.items()}
        return [
            known.get(_template(request), request.sampling.max_tokens)
            if isinstance(request, Generate)
            else 1
            for request in requests
        ]


def _template(request: Generate) -> tuple[str, int]:
    return beginning(request)[:HEAD], request.sampling.max_tokens


def plan(texts: Sequence[str], answers: Sequence[int]) -> list[tuple[int, str]]:
    """Return every text by its number, in the order to send them, with its group's beginning.

    Args:
        texts: What each request begins with.
        answers: How many tokens its answer will have, about.
    """
    numbers = sorted(range(len(texts)), key=texts.__getitem__)
    ordered = [texts[i] for i in numbers]
    sizes = list(map(len, ordered))
    root = build(shared(ordered))
    _long_answers_first(root, sizes, [answers[i] for i in numbers])
    groups, _ = grouped(root, sizes)
    # Who shares nothing is a group of one.
    begins = {i: ordered[i][: group.depth or None] for group in groups for i in group.members}
    return [(numbers[i], begins[i]) for i in _depth_first(root)]


def _depth_first(root: Node) -> Iterator[int]:
    todo = [root]
    while todo:
        node = todo.pop()
        yield from node.leaves
        todo += reversed(node.children)


def _long_answers_first(root: Node, sizes: Sequence[int], answers: Sequence[int]) -> None:
    """Sort every node's children by answer over prompt, falling; equal ones stay as they are."""
    order = [root]
    for node in order:
        order += node.children
    totals: dict[Node, tuple[int, int]] = {}
    for node in reversed(order):
        below = [totals[child] for child in node.children]
        answer = sum(answers[i] for i in node.leaves) + sum(n for n, _ in below)
        read = sum(sizes[i] - node.depth for i in node.leaves) + sum(n for _, n in below)
        read += sum(child.depth - node.depth for child in node.children)
        totals[node] = answer, read
        node.children.sort(key=lambda child: -totals[child][0] / max(1, totals[child][1]))


class Waiting(Generic[T]):
    """Requests that wait for room, each with what its caller holds, for one or more engines."""

    def __init__(self, engines: int, *, is_planned: bool = True) -> None:
        self.lengths = Lengths()
        self.characters = self.saved = 0
        """Characters of all beginnings that left, and how many of them the engine's last request
        had, too: what a cache saves that keeps what neighbours share."""
        self._is_planned = is_planned
        self._new: deque[tuple[Request, T]] = deque()
        self._queues: list[deque[tuple[int, Request, T]]] = [deque() for _ in range(engines)]
        self._n_planned = 0
        """How many the queues hold."""
        self._last = [""] * engines

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._new) + self._n_planned

    def counters(self) -> dict[str, float]:
        """Return what the plan did, as a metric each."""
        return {
            "planner:prompt_characters": float(self.characters),
            "planner:shared_characters": float(self.saved),
        }

    def add(self, request: Request, held: T) -> None:
        """Let a request wait."""
        self._new.append((request, held))

    def clear(self) -> list[tuple[Request, T]]:
        """Let nothing wait any more; return what did."""
        waited = [(request, held) for queue in self._queues for _, request, held in queue]
        waited += self._new
        self._new.clear()
        for queue in self._queues:
            queue.clear()
        self._n_planned = 0
        return waited

    def take(self, engine: int, most: int) -> list[tuple[Request, T]]:
        """Return up to `most` requests for one engine: its own, then what others reach last."""
        if not self._is_planned:
            return [self._new.popleft() for _ in range(min(most, len(self._new)))]
        queue, taken = self._queues[engine], list[tuple[Request, T]]()
        while self and len(taken) < most:
            if len(self._new) > self._n_planned:
                self._plan()
            if not queue:
                self._steal(queue, most - len(taken))
            _, request, held = queue.popleft()
            self._n_planned -= 1
            taken.append((request, held))
            self._count(engine, beginning(request))
        return taken

    def _plan(self) -> None:
        waiting = self.clear()
        texts = [beginning(request) for request, _ in waiting]
        for i, begins in plan(texts, self.lengths.estimate([request for request, _ in waiting])):
            group = _number(begins)
            self._queues[group % len(self._queues)].append((group, *waiting[i]))
        self._n_planned = len(waiting)

    def _steal(self, queue: deque[tuple[int, Request, T]], most: int) -> None:
        """Take a group, or its end, from where the engine with most to do comes last."""
        longest = max(self._queues, key=len)
        group = longest[-1][0]
        while longest and longest[-1][0] == group and len(queue) < most:
            queue.appendleft(longest.pop())

    def _count(self, engine: int, text: str) -> None:
        last, self._last[engine] = self._last[engine], text
        self.characters += len(text)
        self.saved += shared([last, text])[1]


def _number(text: str) -> int:
    """Return the same number for the same text, in every process."""
    named = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(named.digest(), "big")
