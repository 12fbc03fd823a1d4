"""Keep rows of earlier tasks to rehearse: of the tasks that lie farthest apart.

Source: Yin et al., "Dynosaur", arXiv:2305.14327, section 5 (continual learning by replay).
Differs from the paper: a task's vector is the mean over its rows, its code is not public, and how
many rows a task gives is our own choice: evenly, by chance. The sum of cosines does not see that
two picks are alike; `rule: k_center` does.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypedDict

import numpy as np
import pyarrow as pa
from pydantic import Field

from gristmill.geometry.k_center import k_center
from gristmill.geometry.picks import Indices, Numbers, drawn, picked
from gristmill.geometry.quotas import first_of_each, groups, quotas
from gristmill.geometry.vectors import Array, unit, vectors
from gristmill.pipelines.stage import VectorStage


class Pick(TypedDict):
    """What it writes."""

    rank: int | None
    """0 is the first pick; None was not picked."""
    task_rank: int | None
    """0 is the first task that was chosen; None was not, or is the new stage's."""
    score: float | None
    """Sum of cosines of the row's task to all tasks, itself included: lower is farther apart."""


class Replay(VectorStage):
    """Choose `tasks` tasks, draw `k` rows of them. O(n d) and the square of the tasks.

    The paper's vectors are of the instruction alone.
    """

    codes: ClassVar[frozenset[str]] = frozenset(
        {"other_task", "not_selected", "no_task", "no_vector"}
    )

    k: int = Field(ge=1)
    """Rows to rehearse, besides those of `new`. Fewer come back when the tasks have fewer."""
    tasks: int = Field(default=10, ge=1)
    """Tasks to rehearse."""
    by: str = Field(default="source", pattern=r"^\w+(\.\w+)*$")
    """Column with the task's name."""
    new: tuple[str, ...] = ()
    """Tasks of the stage that is trained next: all their rows stay, and none is rehearsed."""
    rule: Literal["diverse", "supportive", "k_center"] = "diverse"
    """Smallest sums of cosines, largest (the paper's counter-example), or farthest-first."""
    seed: int = 0
    """Of the draw: a row's chance depends on it and the row's id alone."""

    def reads(self) -> frozenset[str]:
        """The columns are parameters."""
        return super().reads() | {self.by}

    def decide(self, table: pa.Table) -> Annotated[pa.Table, Pick]:
        """(n, 3) -> (n, 7); rows without a task or a vector leave with their own codes."""
        points, there = vectors(table[self.column])
        names, of = groups(table[self.by])
        new = np.isin(of, [i for i, name in enumerate(names) if name in self.new])
        eligible = there & (of >= 0) & ~new
        old = np.unique(of[eligible])
        task = np.full(len(table), -1, np.int64)
        task[eligible] = np.searchsorted(old, of[eligible])
        middle = _middles(unit(points[eligible[there]]), task[eligible], len(old))
        chosen, sums = self._tasks(middle)
        sizes = np.bincount(task[eligible], minlength=len(old))
        counts = np.zeros(len(old), np.int64)
        counts[chosen] = quotas(self.k, np.ones(len(chosen)), sizes[chosen])
        order = drawn(table, self.seed)
        picks = np.concatenate([order[new[order]], first_of_each(order, task, counts)])
        codes = np.where(np.isin(task, chosen), "not_selected", "other_task").astype(object)
        codes[~there], codes[of < 0] = "no_vector", "no_task"
        task_rank: list[Any] = [None] * len(table)
        for number, found in enumerate(chosen.tolist()):
            for place in np.flatnonzero(task == found):
                task_rank[place] = number
        score = np.where(task >= 0, np.append(sums, np.nan)[task], np.nan)
        told = {
            "not_selected": f"k={self.k}",
            "other_task": f"not of the {len(chosen)} tasks that were chosen",
            "no_task": f"{self.by} is null",
            "no_vector": f"{self.column} is null",
        }
        columns = {"task_rank": pa.array(task_rank, pa.int64()), "score": score}
        return picked(table, picks, codes, told, **columns)

    def _tasks(self, middle: Array) -> tuple[Indices, Numbers]:
        """Return the chosen tasks, first the farthest apart, and every sum of cosines."""
        wide = middle.astype(np.float64)
        sums = wide @ wide.sum(axis=0)
        if not len(sums) or self.rule != "k_center":
            rounded = np.round(sums if self.rule != "supportive" else -sums, 9)
            return np.argsort(rounded, kind="stable")[: self.tasks], sums
        return k_center(middle, self.tasks, int(sums.argmin())).picks, sums


def _middles(points: Array, task: Indices, n: int) -> Array:
    """Return the unit mean of every task's rows, (m, d), (m,) -> (n, d)."""
    sums = np.zeros((n, points.shape[1]))
    np.add.at(sums, task, points)
    return unit(sums)
