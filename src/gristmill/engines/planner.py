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

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from hashlib import blake2b
from typing import Any, Generic, TypeVar

from gristmill.engines.prefixes import Node, build, grouped, shared
from gristmill.engines.rating import Rate
from gristmill.engines.requests import Choice, Completion, Generate, Request

HEAD = 48
"""Characters that tell one template from another, for the estimate of answers' lengths."""
SEEN = 256
"""Answers that an estimate remembers."""
KNOWN = 1024
"""Templates and stages that have estimates."""
ENOUGH = 10
"""Answers from which a template has an estimate of its own."""

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
    """Estimates of how long answers get: the 0.9-quantile of the last ones to the same template.

    A template is what a stage's prompts begin with. Where they begin with each row's own text none
    comes up often enough, and all answers to the stage count.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, int, str], deque[int]] = OrderedDict()
        """By template and by stage, the one that got no answer for longest first."""

    def __len__(self) -> int:
        """Return how many templates and stages it remembers."""
        return len(self._seen)

    def learn(self, request: Request, answer: Any) -> None:
        """Remember how long an answer was."""
        if not (isinstance(request, Generate) and isinstance(answer, Completion)):
            return
        for name in _names(request):
            self._seen.setdefault(name, deque(maxlen=SEEN)).append(answer.completion_tokens)
            self._seen.move_to_end(name)
        while len(self._seen) > KNOWN:
            self._seen.popitem(last=False)

    def estimate(self, requests: Sequence[Request]) -> list[int]:
        """Return how many tokens each answer will have; its limit where none is known yet."""
        known = cache(lambda name: sorted(self._seen[name])[len(self._seen[name]) * 9 // 10])
        return [self._one(request, known) for request in requests]

    def _one(self, request: Request, known: Callable[[tuple[str, int, str]], int]) -> int:
        if not isinstance(request, Generate):
            return 1
        template, stage = _names(request)
        if len(self._seen.get(template, ())) >= ENOUGH:
            return known(template)
        return known(stage) if stage in self._seen else request.sampling.max_tokens


def _names(request: Generate) -> tuple[tuple[str, int, str], tuple[str, int, str]]:
    """Return the names of a request's template and of its stage."""
    of = request.stage, request.sampling.max_tokens
    return (*of, f"template {beginning(request)[:HEAD]}"), (*of, "")


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
