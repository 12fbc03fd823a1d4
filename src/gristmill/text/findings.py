"""Findings: which compounds an organism holds, said in other words each time, and found again.

Source: Delmas et al., "Relation Extraction in underexplored biomedical domains: A
diversity-optimised sampling and synthetic data generation approach", arXiv:2311.06364, section 4.
Written from the description alone; the released code is GPL-3.0, and nothing of it is here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby, islice
from typing import NamedTuple, Protocol

DERIVATIVE = re.compile(r"(\S.*) ([A-Z]|[1-9][0-9]?)")
MARKS = re.compile(r"[^\w\s]")
BANNED = frozenset({"abstract", "article", "compound", "compounds", "novel", "paper", "study"})
"""Words that say nothing about a text: no keyword has one of them. Our choice."""
ALIKE, SHORTEST = 0.5, 3
"""Sequence match (0..1) of a keyword and a name from which on it gives the name away; names in a
row that become one."""
SAYINGS = (
    "{chemicals} were isolated from {organism}.",
    "{organism} yielded {chemicals}.",
    "{organism} contains {chemicals}.",
)


class Relation(NamedTuple):
    """A compound that an organism holds, and the class of the compound if it is known."""

    organism: str
    chemical: str
    kind: str | None = None


def stripped(one: Relation) -> Relation:
    """Return a relation without spaces around its names."""
    return one._replace(organism=one.organism.strip(), chemical=one.chemical.strip())


class Variant(NamedTuple):
    """One way to tell the findings, the pairs of organism and label in it, and a temperature."""

    findings: str
    pairs: list[tuple[str, str]]
    temperature: float


class Chance(Protocol):
    """Random numbers that the caller has seeded."""

    def random(self) -> float:
        """Return one, 0..1."""
        ...

    def randint(self, a: int, b: int) -> int:
        """Return one of a..b."""
        ...

    def choice(self, seq: Sequence[str]) -> str:
        """Return one of them."""
        ...

    def shuffle(self, x: list[str]) -> None:
        """Bring them into another order."""
        ...


def keywords(replies: Iterable[str], names: Sequence[str], n: int) -> list[str]:
    """Return the keywords that most lists have, the best first; of equals the first named.

    None has punctuation or a word without content, or is like one of the names.
    """
    votes = Counter[str]()
    for reply in replies:
        said = (re.sub(r"^[\s*\-\d.)]+", "", part) for part in re.split(r"[,;\n]", reply))
        votes.update(dict.fromkeys((" ".join(one.casefold().split()) for one in said), 1))
    fit = (word for word, _ in votes.most_common() if word and not _unfit(word, names))
    return [*islice(fit, n)]


def _unfit(word: str, names: Sequence[str]) -> bool:
    likeness = (SequenceMatcher(None, word, name.casefold()).ratio() for name in names)
    banned = MARKS.search(word) or not BANNED.isdisjoint(word.split())
    return bool(banned) or any(ratio >= ALIKE for ratio in likeness)


def contracted(names: Sequence[str]) -> Iterator[str]:
    """Yield names in order, a run of derivatives as one: "hirsutine A", "B", "C" as "A-C"."""
    found = [(name, DERIVATIVE.fullmatch(name)) for name in names]
    places = {
        name: (m[1], m[2].isdigit(), (int(m[2]) if m[2].isdigit() else ord(m[2])) - i)
        for i, (name, m) in enumerate(found)
        if m
    }
    for key, group in groupby(names, lambda name: places.get(name, name)):
        run = [*group]
        if len(run) < SHORTEST or isinstance(key, str):
            yield from run
        else:
            yield f"{key[0]}s {run[0].split()[-1]}-{run[-1].split()[-1]}"


def varied(relations: Sequence[Relation], rng: Chance, class_rate: float) -> Variant:
    """Tell the findings in one of many ways.

    Compounds of a class that an organism has several of are called by the class, at that rate.
    """
    sentences, pairs = list[str](), list[tuple[str, str]]()
    for organism in dict.fromkeys(one.organism for one in relations):
        mine = dict.fromkeys(one for one in relations if one.organism == organism)
        kinds = Counter(one.kind for one in mine if one.kind)
        named = {kind for kind, n in kinds.items() if n > 1 and rng.random() < class_rate}
        alone = sorted({one.chemical for one in mine if one.kind not in named}, key=_natural)
        labels = [*contracted(alone), *sorted(named)]
        rng.shuffle(labels)
        pairs += [(organism, label) for label in labels]
        listed = " and ".join(part for part in (", ".join(labels[:-1]), labels[-1]) if part)
        sentences.append(rng.choice(SAYINGS).format(chemicals=listed, organism=organism))
    rng.shuffle(sentences)
    return Variant(" ".join(sentences), pairs, rng.randint(0, 10) / 10)


def _natural(name: str) -> tuple[str, int, str]:
    found = DERIVATIVE.fullmatch(name)
    return (found[1], int(found[2]) if found[2].isdigit() else 0, name) if found else (name, 0, "")


def coverage(text: str, pairs: Sequence[tuple[str, str]]) -> float:
    """Return the share (0..1) of the pairs whose organism and label both stand in a text.

    A name is never a part of a longer one; of an organism "G. species" will do.
    """
    hits = [_names(text, *_forms(organism)) and _names(text, label) for organism, label in pairs]
    return sum(hits) / len(hits)


def _forms(organism: str) -> list[str]:
    genus, _, species = organism.partition(" ")
    return [organism, f"{genus[0]}. {species}"] if species else [organism]


def _names(text: str, *forms: str) -> bool:
    either = "|".join(re.escape(form) for form in forms)
    return bool(re.search(rf"(?i)(?<![\w-])(?:{either})(?![\w-])", text))


def listed_pairs(text: str) -> list[tuple[str, str]]:
    """Return the pairs of organism and compound in a reply, one a line with a semicolon between."""
    lines = (re.sub(r"^[\s*\-]*(?:\d+[.)]\s)?", "", line) for line in text.splitlines())
    pairs = (line.partition(";") for line in lines if ";" in line)
    named = ((organism.strip(), label.strip(" .")) for organism, _, label in pairs)
    return [(organism, label) for organism, label in named if organism and label]


def unsupported(
    said: Sequence[tuple[str, str]], known: Sequence[Relation], synonyms: Sequence[str]
) -> list[str]:
    """Return the pairs that are no known relation, each once, as "organism; compound".

    A compound may go by its class, and an organism by "G. species". A synonym may stand for any
    known name, since nobody says for which.
    """
    others = {_bare(name) for name in synonyms}
    holds: dict[str, set[str]] = {}
    for one in known:
        for form in map(_bare, _forms(one.organism)):
            names = holds.setdefault(form, set())
            names |= {_bare(one.chemical), _bare(one.kind or one.chemical)}
    every = set[str]().union(*holds.values())

    def is_known(organism: str, label: str) -> bool:
        if label in others:
            return organism in holds or organism in others
        return label in (every if organism in others else holds.get(organism, ()))

    new = (pair for pair in said if not is_known(*map(_bare, pair)))
    return [*dict.fromkeys("; ".join(pair) for pair in new)]


def _bare(name: str) -> str:
    return " ".join(name.casefold().split())
