"""Overlaps: what a text shares with a protected set of questions and solutions.

Sources: runs of 13 words, or 8 to 13 by set: Brown et al., "Language Models are Few-Shot
Learners", arXiv:2005.14165, appendix C, which also leaves out runs that more than ten texts share;
runs of 50 letters and digits: OpenAI, "GPT-4 Technical Report", arXiv:2303.08774, appendix C;
solutions that stand in a text as a whole: Wei et al., "SelfCodeAlign", arXiv:2410.24198.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from sys import intern
from typing import Literal

from gristmill.text.same_code import Solutions
from gristmill.text.words import words

Method = Literal["words", "chars", "solutions"]
CONTAMINATED = "contaminated"
"""The flag of a row that repeats a benchmark, and the code of one that left for it."""
METHODS: tuple[Method, ...] = ("words", "solutions")
NGRAM = 13
MAX_RATE = 0.0
"""What `filters.contamination` does unless told otherwise; the card must know it too."""
CHARS = 50
MIN_WORDS = 8
"""Words of the shortest text that is looked for inside others; a shorter question counts only
where it is all that somebody says."""
MAX_SHARED = 10
"""Rows of a set that may share a run; one that more share is a phrase of its template."""
DIGIT = re.compile(r"\d")
HIT = re.compile(r"(?P<benchmark>[\w.-]+) by (?P<method>words|chars|solutions|embedding), row ")


@dataclass(frozen=True, slots=True)
class Protected:
    """A row of a benchmark."""

    benchmark: str
    id: str
    question: str
    solution: str = ""
    is_code: bool = False
    """Whether the solution is a program: its runs of words are those of any program."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Evidence: the row that a text shares something with, and what."""

    benchmark: str
    row: str
    method: Method | Literal["embedding"]
    shared: str

    def __str__(self) -> str:
        """Return what the detail of a reject says; `HIT` reads it again."""
        return f"{self.benchmark} by {self.method}, row {self.row}: {self.shared}"


class Overlaps:
    """An index of protected rows: 130 bytes a word, with `chars` 90 a letter; twice to build."""

    def __init__(self, rows: Sequence[Protected], methods: Iterable[Method], ngram: int) -> None:
        self.rows, self.methods, self.ngram = rows, frozenset(methods), ngram
        self.runs: dict[str, int] = {}
        self.letters: dict[str, int] = {}
        self.short: dict[str, list[tuple[list[str], int]]] = {}
        self.whole: dict[str, int] = {}
        self.starts: set[tuple[str, ...]] = set()
        """Two words that a run of `runs` or `short` begins with: no others are put together."""
        self.solutions = Solutions()
        for place, row in enumerate(rows):
            if row.is_code and "solutions" in self.methods:
                self.solutions.add(place, row.solution)
        if "words" in self.methods:
            self._add_words()
        if "chars" in self.methods:
            self.letters = self._rare(lambda text: _letter_runs(_letters(text)))

    def find(self, text: str, said: list[str] | None = None) -> Hit | None:
        """Return the first thing that a text shares with a row: by words, by letters, by code.

        `said` are its words, where somebody has them.
        """
        by_words = "words" in self.methods
        if by_words and (hit := self._by_words(words(text) if said is None else said)):
            return hit
        if "chars" in self.methods:
            for run in _letter_runs(_letters(text)):
                if run in self.letters:
                    return self._hit(self.letters[run], "chars", run)
        if self.solutions.by_start and (found := self.solutions.find(text)):
            return self._hit(found[0], "solutions", found[1])
        return None

    def _hit(self, place: int, method: Method, shared: str) -> Hit:
        row = self.rows[place]
        return Hit(row.benchmark, row.id, method, shared)

    def _by_words(self, said: list[str]) -> Hit | None:
        starts = self.starts
        at = [i for i, pair in enumerate(pairwise(said)) if pair in starts]
        for i in at:
            run = " ".join(said[i : i + self.ngram])
            if run in self.runs:
                return self._hit(self.runs[run], "words", run)
        for i in at if self.short else ():
            for known, place in self.short.get(" ".join(said[i : i + MIN_WORDS]), ()):
                if said[i : i + len(known)] == known:
                    return self._hit(place, "words", " ".join(known))
        whole = " ".join(said[:MIN_WORDS])
        if len(said) < MIN_WORDS and whole in self.whole:
            return self._hit(self.whole[whole], "words", whole)
        return None

    def _add_words(self) -> None:
        self.runs = self._rare(lambda text: _runs(words(text), self.ngram))
        for place, row in enumerate(self.rows):
            said = words(row.question)
            known = " ".join(said)
            if len(said) >= self.ngram or not _is_prose(known):
                continue
            if len(said) >= MIN_WORDS:
                self.short.setdefault(" ".join(said[:MIN_WORDS]), []).append((said, place))
            else:
                self.whole.setdefault(known, place)
        every = (run.split(" ", 2)[:2] for run in (*self.runs, *self.short))
        self.starts = {tuple(map(intern, start)) for start in every}

    def _rare(self, runs_of: Callable[[str], Iterable[str]]) -> dict[str, int]:
        """Return the runs of all texts with their first row, without those of a template."""
        first, shared = dict[str, int](), Counter[tuple[str, str]]()
        for place, row in enumerate(self.rows):
            texts = [row.question] if row.is_code else [row.question, row.solution]
            for run in {run for text in texts for run in runs_of(text) if _is_prose(run)}:
                first.setdefault(run, place)
                shared[row.benchmark, run] += 1
        common = {run for (_, run), n in shared.items() if n > MAX_SHARED}
        return {run: place for run, place in first.items() if run not in common}


def _runs(said: Sequence[str], n: int) -> Iterator[str]:
    return (" ".join(said[i : i + n]) for i in range(len(said) - n + 1))


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


def _letter_runs(letters: str) -> Iterator[str]:
    return (letters[i : i + CHARS] for i in range(len(letters) - CHARS + 1))


def _is_prose(run: str) -> bool:
    """Say whether it is more than digits: the numbers from 1 to 13 are nobody's question."""
    return 2 * len(DIGIT.findall(run)) < len(run)
