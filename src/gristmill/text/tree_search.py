"""Search a tree for a node that is good enough, breadth first or depth first.

Source: Cheng et al., "SPaR: Self-Play with Tree-Search Refinement to Improve Instruction-Following
in Large Language Models", arXiv:2412.11605, section 2.3.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Valued(Protocol):
    """What has a value; more is better."""

    @property
    def value(self) -> float:
        """Return it."""
        ...


Node = TypeVar("Node", bound=Valued)


@dataclass(frozen=True, slots=True)
class TreeSearch(Generic[Node]):
    """How to search: `expand` makes the children of some nodes of one level at once."""

    expand: Callable[[Sequence[Node]], Awaitable[Sequence[Node]]]
    accept: float
    """A node's value must be above it."""
    beam: int
    """The best children of a step that are expanded further."""
    is_wide: bool
    """Breadth first: a level is one step. Else every node is a step, the best first."""

    async def find(self, level: Sequence[Node], depth: int) -> Node | None:
        """Return the best node of the first step that has one above `accept`, else None."""
        steps = [level] if self.is_wide else [[node] for node in level]
        for step in steps if depth and level else []:
            children = sorted(await self.expand(step), key=lambda node: -node.value)
            if children and children[0].value > self.accept:
                return children[0]
            if found := await self.find(children[: self.beam], depth - 1):
                return found
        return None
