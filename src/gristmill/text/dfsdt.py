"""Depth-first search in a tree of calls, which backs up from dead ends and then tries otherwise.

Source: Qin et al., "ToolLLM: Facilitating Large Language Models to Master 16000+ Real-world APIs",
arXiv:2307.16789, section 2.3; `OpenBMB/ToolBench` (Apache-2.0) for limits and levels of backing up.
Differs from the paper: a call that nothing takes is a dead end, so that no chain has one; a name
that there is not stays in the tree as it was said; siblings are never ranked before a descent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from gristmill.text.json_values import problem
from gristmill.text.simulated_api import BAD_ARGUMENTS, NO_FUNCTION, OK, Call
from gristmill.text.tool_calls import Answering, ToolTurn, answering, calling, said, shown

ANSWERED, GAVE_UP, UNREADABLE = 3, 4, 12
"""Codes of nodes besides those of an API."""
DEAD = frozenset({NO_FUNCTION, BAD_ARGUMENTS, UNREADABLE})
FINISH: dict[str, Any] = {
    "type": "object",
    "properties": {
        "return_type": {"type": "string", "enum": ["give_answer", "give_up_and_restart"]},
        "final_answer": {"type": "string"},
    },
    "required": ["return_type"],
}
"""Arguments of the function `Finish`, which ends a way."""
STOP = 1 << 30
"""Levels: all of them."""


@dataclass(eq=False)
class Node:
    """One step: a thought and a call, with what came of it. The root has neither."""

    parent: Node | None = None
    thought: str = ""
    call: Call = field(default_factory=lambda: Call(name="", arguments={}))
    seen: str = ""
    code: int = OK
    is_pruned: bool = False
    """Whether it is as deep as may be, and not the end."""
    children: list[Node] = field(default_factory=list)

    @property
    def path(self) -> list[Node]:
        """The steps from the first to this one."""
        return [*self.parent.path, self] if self.parent else []

    @property
    def depth(self) -> int:
        """Nodes as ToolBench counts them: a name, arguments, and a thought where there is one."""
        return sum(2 + bool(step.thought) for step in self.path)

    def told(self) -> dict[str, Any]:
        """Return the tree below as JSON has it."""
        mine = {"thought": self.thought, **self.call, "seen": self.seen, "code": self.code}
        return {
            **mine,
            "pruned": self.is_pruned,
            "children": [child.told() for child in self.children],
        }


@dataclass
class Search:
    """How to search, and what was found: with a width of 1 it is one chain."""

    expand: Callable[[Node], Awaitable[Node]]
    """Asks the model once for a further child."""
    width: int
    max_depth: int
    max_calls: int
    answers: int
    found: list[Node] = field(default_factory=list)
    calls: int = 0
    given_up: int = 0

    async def descend(self, node: Node) -> int:
        """Search below a node; return how many levels to back up: 1 goes on beside it."""
        if node.code in (ANSWERED, GAVE_UP):
            self.found += [node] * (node.code == ANSWERED)
            self.given_up += node.code == GAVE_UP
            return STOP if len(self.found) >= self.answers else 2
        node.is_pruned = node.depth >= self.max_depth
        if node.code in DEAD or node.is_pruned:
            return 1
        for _ in range(self.width):
            if self.calls >= self.max_calls:
                return STOP
            self.calls += 1
            child = await self.expand(node)
            node.children.append(child)
            if (back := await self.descend(child)) > 1:
                return back - 1
        return 1


async def stepped(answer: Answering, node: Node, thought: str, call: Call) -> Node:
    """Return the child that a call makes, answered after all calls on the way to it."""
    made, arguments = Node(node, thought, call), call["arguments"]
    if call["name"] != "Finish":
        result = await answer([one.call for one in made.path])
        made.seen, made.code = shown(result), result["code"]
        return made
    is_end = arguments.get("return_type") == "give_answer"
    made.seen = problem(FINISH, arguments) or ""
    if is_end and not str(arguments.get("final_answer") or "").strip():
        made.seen = "final_answer is empty"
    made.code = BAD_ARGUMENTS if made.seen else ANSWERED if is_end else GAVE_UP
    return made


def conversation(instruction: str, end: Node) -> list[ToolTurn]:
    """Return the way to an answer as turns."""
    turns = [said("user", instruction)]
    for i, one in enumerate(end.path[:-1], 1):
        turns.append(calling([one.call], [f"call_{i}"], one.thought))
        turns.append(answering(f"call_{i}", one.call["name"], one.seen))
    return [*turns, said("assistant", end.call["arguments"]["final_answer"].strip())]
