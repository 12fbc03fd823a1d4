"""Episodes of commands: which one a turn has, and how near the end comes to the right one."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass

from gristmill.text.fences import code_in

EXECUTE = re.compile(r"</?execute>")
WORD = re.compile(r"\w+")
ORDERED = re.compile(r"(?i)\border\s+by\b")


@dataclass(frozen=True, slots=True)
class Ended:
    """What commands came to."""

    output: str
    """Of the last one."""
    changes: dict[str, str]
    """What they changed, each with what it is now."""


def command_of(text: str, language: str) -> str | None:
    """Return the one command of a turn, "" for <submit>, None for anything else."""
    marks, submits = EXECUTE.findall(text), text.count("<submit>")
    if marks == ["<execute>", "</execute>"] and not submits:
        inner = EXECUTE.split(text)[1]
        return (code_in(language, inner) or inner).strip() or None
    return "" if submits == 1 and not marks else None


def bash_reward(gold: Ended, last: Ended) -> float:
    """Return the reward of InterCode for Bash, 0.01 to 1 (arXiv:2306.14898, section 4)."""
    both = gold.changes.keys() & last.changes.keys()
    same = sum(gold.changes[name] == last.changes[name] for name in both)
    apart = len(gold.changes.keys() ^ last.changes.keys())
    return weighed(apart, same / len(both) if both else 1.0, tf_idf(gold.output, last.output))


def weighed(apart: int, agree: float, similarity: float) -> float:
    """Return 0.01 + 0.33 (1 - erf(m)) + 0.33 c + 0.33 t, to six places.

    m: files that one side alone changed; c: the share of those that both did whose content agrees,
    1 if there are none; t: the similarity of the outputs.
    """
    return round(0.01 + 0.33 * (1 - math.erf(apart) + agree + similarity), 6)


def sql_reward(gold: Ended, last: Ended) -> float:
    """Return the share of rows in both results, as multisets; 0 where tables ended otherwise."""
    one, other = Counter(gold.output.splitlines()), Counter(last.output.splitlines())
    every = (one | other).total()
    share = (one & other).total() / every if every else 1.0
    return share if gold.changes == last.changes else 0.0


def is_same_output(gold: Ended, last: Ended, query: str | None = None) -> bool:
    """Say whether outputs agree but for white space; in any order for an unordered query."""
    sides = [[line.split() for line in end.output.split("\n")] for end in (gold, last)]
    if query and not ORDERED.search(query):
        sides = [sorted(side) for side in sides]
    return sides[0] == sides[1]


def tf_idf(left: str, right: str) -> float:
    """Return the cosine of two texts as vectors of words with smoothed idf, 0 to 1.

    Texts without words are the same, or have nothing in common.
    """
    one, other = (Counter(WORD.findall(text.lower())) for text in (left, right))
    if not one or not other:
        return float(left.split() == right.split())
    in_both = one.keys() & other.keys()
    dot = sum(one[word] * other[word] for word in in_both)
    rare = math.log(3 / 2) + 1  # idf of a word in one of two texts; of one in both it is 1
    squares = [
        sum((n * (1 if word in in_both else rare)) ** 2 for word, n in text.items())
        for text in (one, other)
    ]
    return min(1.0, dot / math.sqrt(math.prod(squares)))
