"""STAT-Sel: draw questions that train what a student lacks, as often as it is lacking.

Source: He et al., "Skill-Targeted Adaptive Training" (STAT), arXiv:2510.10023, section 3.2: for
every difficult validation question and every skill missing from the student's answer to it
(`scorers.skills` with `of: missing`), five training questions with that skill are drawn, each with
up to three answers, then cut to size (9,500 pairs).
Differs from the paper: its code is not public. Rows with the same instruction are the answers to
one question; what is drawn again is not repeated but counted in `times`.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from random import Random
from typing import Annotated, Any, ClassVar, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from gristmill.errors import InputError
from gristmill.formats.text_lines import Lines
from gristmill.geometry.picks import drawn, picked
from gristmill.pipelines.stage import TableStage

log = logging.getLogger(__name__)


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 was drawn most often, equals by chance; None was not drawn, or cut."""
    times: int | None
    """How often the row's question was drawn: its weight in training."""


class StatSel(TableStage):
    """Draw per missing skill. O(n log n) and the draws: one pass over a skill's questions each."""

    codes: ClassVar[frozenset[str]] = frozenset({"not_selected", "no_skill"})

    profile: Lines = Field(min_length=1)
    """For every difficult question a JSON list of the skills that were missing, or the path of a
    file with one on each line: `["fractions", "primes"]`. Never of rows that are in the table."""
    by: str = Field(default="scores.skills.skills", pattern=r"^\w+(\.\w+)*$")
    """Column of a skill, or of a list of skills."""
    draws: int = Field(default=5, ge=1)
    """Questions per difficult question and skill; all where a skill has fewer."""
    answers: int = Field(default=3, ge=1)
    """Rows of a question that come along."""
    most: int | None = Field(default=None, ge=1)
    """Rows to cut to, by chance; None: all that were drawn."""
    seed: int = 0
    """Of all draws."""

    @model_validator(mode="after")
    def _is_readable(self) -> StatSel:
        self.missing()
        return self

    def missing(self) -> Counter[str]:
        """Return in how many questions every skill is missing; ValueError for other lines."""
        found = Counter[str]()
        for line in self.profile:
            try:
                names = json.loads(line)
            except json.JSONDecodeError:
                names = None
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise ValueError(f'a profile\'s lines are lists such as ["primes"], found {line!r}')
            found.update(dict.fromkeys(names, 1))
        return found

    def reads(self) -> frozenset[str]:
        """The labels are a parameter."""
        return frozenset({"instruction", self.by})

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 3) -> (n, 6); rows without a skill leave with their own code."""
        labels = [_names(value) for value in table[self.by].to_pylist()]
        texts = table["instruction"].to_pylist()
        order = drawn(table, self.seed)
        questions: dict[Any, list[int]] = {}
        for place in order.tolist():
            questions.setdefault(texts[place], []).append(place)
        times = self._times(questions, labels)
        chosen = [
            p for text in times for p in [q for q in questions[text] if labels[q]][: self.answers]
        ]
        place_of = np.argsort(order, kind="stable")
        cut = sorted(chosen, key=lambda place: place_of[place])[: self.most]
        picks = sorted(cut, key=lambda place: (-times[texts[place]], place_of[place]))
        codes = np.array(["not_selected" if found else "no_skill" for found in labels], object)
        told = {"not_selected": "not drawn, or cut", "no_skill": f"{self.by} is null or empty"}
        counts: list[int | None] = [None] * len(table)
        for place in picks:
            counts[place] = times[texts[place]]
        return picked(table, picks, codes, told, times=pa.array(counts, pa.int64()))

    def _times(self, questions: dict[Any, list[int]], labels: list[set[str]]) -> Counter[Any]:
        """Return how often every question is drawn."""
        pools: dict[str, list[Any]] = {}
        for text, places in questions.items():
            for name in sorted(set().union(*(labels[place] for place in places))):
                pools.setdefault(name, []).append(text)
        missing = self.missing()
        if pools and not pools.keys() & missing.keys():
            raise InputError(
                f"stat_sel: the profile names {sorted(missing)[:5]}, but '{self.by}' has only "
                f"{sorted(pools)[:5]}; label both with the same list"
            )
        times = Counter[Any]()
        for name, n in sorted(missing.items()):
            pool = pools.get(name, [])
            log.info("skill=%s missing=%d questions=%d", name, n, len(pool))
            rng = Random(f"{self.seed}/{name}")
            for _ in range(n):
                times.update(rng.sample(pool, min(self.draws, len(pool))))
        return times


def _names(value: Any) -> set[str]:
    values = value if isinstance(value, list) else [value]
    return {str(name) for name in values if name is not None}
