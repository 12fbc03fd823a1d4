"""Monte-Carlo tree search over texts: which node to grow next, and what a growth tells its path.

Source: Kocsis and Szepesvari, "Bandit Based Monte-Carlo Planning", 2006 (UCT); the values are those
of P-Aligner (arXiv:2508.04626), which averages means instead of visits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, log, sqrt


@dataclass(slots=True, eq=False)
class Node:
    """A text in the tree."""

    text: str
    parent: Node | None = None
    action: str = ""
    """How it was made of its parent; "" for the root."""
    mean: float | None = None
    """What it is worth itself; None until it is known."""
    reward: float | None = None
    """The best mean in its subtree."""
    visits: int = 0
    """Growths in its subtree, its own among them."""
    children: list[Node] = field(default_factory=list)

    @property
    def value(self) -> float:
        """The mean of its own mean and the value of each of its children."""
        known = [self.mean] if self.mean is not None else []
        values = [*known, *(child.value for child in self.children)]
        return sum(values) / len(values)

    def path(self) -> list[Node]:
        """Return the nodes from the root to it."""
        return [*(self.parent.path() if self.parent else []), self]


def descend(root: Node, n_actions: int, c: float) -> Node:
    """Return the node to grow: from the root on, the best child of every fully grown one.

    The best has the highest value + c * sqrt(ln(visits of the parent) / its visits); of equals, the
    one that was made first.
    """
    node = root
    while len(node.children) == n_actions:
        explored = log(node.visits)
        node = max(node.children, key=lambda one: one.value + c * sqrt(explored / one.visits))
    return node


def grow(parent: Node, text: str, action: str, mean: float) -> Node:
    """Add a child, and tell every node on its path."""
    child = Node(text, parent, action, mean)
    parent.children.append(child)
    for node in reversed(child.path()):
        node.visits += 1
        own = -inf if node.mean is None else node.mean
        node.reward = max([own, *(one.reward for one in node.children if one.reward is not None)])
    return child
