"""Prompts that begin alike: a compact prefix tree over many texts, and the best groups in it.

Source: Zheng et al., "BatchLLM", arXiv:2412.03594, sections 4.1 and 4.2.
Differs from the paper: the groups come from an exact dynamic programme, not from the greedy rule;
and lengths are in characters, because who plans for a hundred engines must not tokenise for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

BLOCK = 64
"""Characters of a shared beginning are counted in blocks, as an engine's cache holds whole blocks
of tokens: 16 tokens of 4 characters."""
DEEPEST = 64
"""Levels of a tree; what differs below the last is taken for equal."""


@dataclass(slots=True, eq=False)
class Node:
    """All texts that begin with the same `depth` characters, and no longer beginning in common."""

    depth: int
    leaves: list[int] = field(default_factory=list)
    """Texts that share no more than this with any other, by number."""
    children: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Group:
    """Texts that are served together: they all begin with the same `depth` characters."""

    depth: int
    members: list[int]


def common(a: str, b: str) -> int:
    """Return how many characters two texts have in common at their beginning."""
    low, high = 0, min(len(a), len(b))
    while low < high:  # slices compare many times faster than characters one by one
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def shared(texts: Sequence[str], block: int = BLOCK) -> list[int]:
    """Return how much each of the sorted texts shares with the one before, in whole blocks."""
    return [0, *(common(a, b) // block * block for a, b in pairwise(texts))] if texts else []


def build(lengths: Sequence[int]) -> Node:
    """Return the tree of sorted texts, given what each shares with the one before."""
    root = Node(0)
    path = [root]
    for i, here in enumerate(lengths):
        left: Node | None = None
        while path[-1].depth > here:
            left = path.pop()
        if left and path[-1].depth < here:
            # What was left begins like this text, but no longer in the same place of the tree.
            path.append(Node(here, [], [left]))
            path[-2].children[-1] = path[-1]
        after = lengths[i + 1] if i + 1 < len(lengths) else 0
        if after > path[-1].depth and len(path) < DEEPEST:
            path.append(Node(after))
            path[-2].children.append(path[-1])
        path[-1].leaves.append(i)
    return root


def grouped(root: Node, sizes: Sequence[int]) -> tuple[list[Group], int]:
    """Return the groups that process the least text, and how much, when each has one prefix.

    With f(v, a) for what is processed below v in a group of prefix length a:
    f(v, a) = sum of (size - a) over v's leaves + sum over children c of
    min(f(c, a), depth(c) + f(c, depth(c))); the answer is f(root, 0). Groups and members come
    depth first, children in the order in which they stand.
    """
    order: list[tuple[Node, tuple[int, ...]]] = []
    todo: list[tuple[Node, tuple[int, ...]]] = [(root, (root.depth,))]
    while todo:
        node, depths = todo.pop()
        order.append((node, depths))
        todo += [(c, (*depths, c.depth)) for c in reversed(node.children)]
    cost: dict[Node, dict[int, int]] = {}
    for node, depths in reversed(order):
        own = sum(sizes[i] for i in node.leaves)
        cost[node] = {
            a: own
            - a * len(node.leaves)
            + sum(min(cost[c][a], c.depth + cost[c][c.depth]) for c in node.children)
            for a in depths
        }
    groups = [Group(root.depth, [])]
    into = {root: groups[0]}
    for node, _ in order:
        group = into.pop(node)
        group.members.extend(node.leaves)
        for child in node.children:
            stays = cost[child][group.depth] <= child.depth + cost[child][child.depth]
            into[child] = group if stays else Group(child.depth, [])
            if not stays:
                groups.append(into[child])
    return [group for group in groups if group.members], cost[root][root.depth]
