"""Trees of features of code: merged, counted, grown, and drawn from.

Source: Wang et al., "EpiCoder: Encompassing Diversity and Complexity in Code Generation",
arXiv:2501.04694, section 3; `microsoft/EpiCoder` (MIT) for the rules. A list of names is a dict of
names with nothing below them, so that all merging is that of dicts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Protocol

Tree = dict[str, "Tree"]
UNSHAPED = frozenset({"scenario", "potential scenario", "summary", "purpose", "issues & bugs"})
"""What code is asked for besides, and what no tree counts."""
SMALLEST = 1e-9
FLAT = 100
"""Temperature from which on every name is as likely as any other."""


class Chance(Protocol):
    """What draws: `random.Random`."""

    def random(self) -> float:
        """Return a number from 0 to below 1."""
        ...


@dataclass(slots=True)
class Node:
    """A feature: what stands below it, and every frequency it was given."""

    below: dict[str, Node] = field(default_factory=dict)
    history: list[float] = field(default_factory=list)

    @property
    def frequency(self) -> float:
        """Return the mean of its frequencies, 1 without any."""
        return fmean(self.history) if self.history else 1.0

    @property
    def frequency_below(self) -> float:
        """Return the mean frequency of the features below, 1 without any."""
        return fmean(node.frequency for node in self.below.values()) if self.below else 1.0

    @property
    def n_below(self) -> int:
        """Count all that stands below."""
        return sum(1 + node.n_below for node in self.below.values())

    @property
    def tree(self) -> Tree:
        """Return the names alone."""
        return {name: node.tree for name, node in self.below.items()}

    def paths(self, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        """Yield the path of every feature, each before those below it."""
        for name, node in self.below.items():
            yield (*above, name)
            yield from node.paths((*above, name))


def tree_of(value: Any, *, empty: bool = True, depth: int = 20) -> Tree:
    """Return dicts and lists of names as one kind of tree; what is neither is left out.

    Without `empty`, a name with an empty dict or list is left out too: a model says with it that
    code has nothing of the kind.
    """
    found: Tree = {}
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, str) and part.strip():
            found.setdefault(part.strip(), {})
        for name, below in part.items() if isinstance(part, dict) and depth else ():
            tree = tree_of(below, empty=empty, depth=depth - 1)
            if name.strip() and (tree or empty):
                merge(found, {name.strip(): tree})
    return found


def merge(tree: Tree, more: Mapping[str, Tree]) -> None:
    """Add to a tree what another one has."""
    for name, below in more.items():
        merge(tree.setdefault(name, {}), below)


def leaves(tree: Mapping[str, Tree]) -> list[str]:
    """Return the names with nothing below them, in order."""
    return [name for top, below in tree.items() for name in (leaves(below) if below else [top])]


def counted(
    trees: Iterable[Mapping[str, Tree]], depth: int = 3, most: int = 50, least: int = 3
) -> Node:
    """Return one tree of many: how often each feature occurs, the frequent first.

    A feature with others below it is as frequent as those together, before rare ones leave.

    Args:
        trees: One per piece of code.
        depth: Levels that are kept.
        most: Features kept below each.
        least: With fewer features below it than this, a feature of a lower level keeps none.
    """
    root = Node()
    for tree in trees:
        _count(root, {k: v for k, v in tree.items() if k.lower() not in UNSHAPED}, depth)
    for name in list(root.below):
        _settle(root.below[name], most, least, is_top=True)
    return root


def _count(node: Node, tree: Mapping[str, Tree], depth: int) -> None:
    for name, below in tree.items():
        found = node.below.setdefault(name, Node(history=[0]))
        if below and depth > 1:
            _count(found, below, depth - 1)
        else:
            found.history[0] += 1


def _settle(node: Node, most: int, least: int, *, is_top: bool = False) -> None:
    for below in node.below.values():
        _settle(below, most, least)
    if 0 < len(node.below) < least and not is_top:
        node.history[0] += len(node.below)
        node.below = {}
        return
    node.history[0] += math.fsum(below.frequency for below in node.below.values())
    first = sorted(node.below.items(), key=lambda pair: -pair[1].frequency)[:most]
    node.below = dict(first)


def grow(node: Node, drawn: Mapping[str, Tree], grown: Mapping[str, Tree]) -> None:
    """Add what a model grew out of a drawn part of the tree, with a frequency for all that is new.

    New is what the part did not have. Its frequency is the mean of its siblings in the part, else
    of those in the tree; a feature that the tree has already takes it into its mean.
    """
    siblings = [node.below[name].frequency for name in drawn if name in node.below]
    given = fmean(siblings) if siblings else node.frequency_below
    for name, below in grown.items():
        found = node.below.setdefault(name, Node())
        if name not in drawn:
            found.history.append(given)
        grow(found, drawn.get(name, {}), below)


def softened(frequencies: Sequence[float], temperature: float) -> list[float]:
    """Return the chance of each at a temperature; 1 leaves frequencies as they are."""
    if abs(temperature) >= FLAT:
        return [1 / len(frequencies)] * len(frequencies)
    total = math.fsum(frequencies)
    logs = [math.log(f / total + SMALLEST) / temperature for f in frequencies]
    weights = [math.exp(log - max(logs)) for log in logs]
    return [weight / math.fsum(weights) for weight in weights]


def draw(
    node: Node,
    breadths: Sequence[int],
    rng: Chance,
    *,
    temperature: float | None = None,
    forced: Sequence[str] = (),
) -> Tree:
    """Return a part of the tree: at each depth at most so many names, none twice.

    Args:
        node: Where to draw below.
        breadths: Names per level; what is deeper is left out.
        rng: Draws.
        temperature: Of the frequencies; None weighs each name by how much stands below it.
        forced: Names of the first level that are drawn in any case, where the tree has them.
    """
    if not breadths:
        return {}
    names = [name for name in forced if name in node.below][: breadths[0]]
    while len(names) < min(breadths[0], len(node.below)):
        left = [name for name in node.below if name not in names]
        parts = [node.below[name] for name in left]
        if temperature is None:
            weights = [float(part.n_below) or SMALLEST for part in parts]
        else:
            weights = softened([part.frequency for part in parts], temperature)
        names.append(left[_place(weights, rng.random())])
    return {
        name: draw(node.below[name], breadths[1:], rng, temperature=temperature) for name in names
    }


def _place(weights: Sequence[float], chance: float) -> int:
    """Return where a number from 0 to 1 falls among weights."""
    left = chance * math.fsum(weights)
    for i, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return i
    return len(weights) - 1
