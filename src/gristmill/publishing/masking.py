"""What card and report must not show of rows that left: what filters of the recipe look for.

A row that left before such a filter came to it was never masked or dropped by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

from gristmill.errors import InputError
from gristmill.formats.protecting import Protecting, protected
from gristmill.publishing.files import RunFiles
from gristmill.storage.rows import Row
from gristmill.text.keys import KEYS, keys
from gristmill.text.overlaps import METHODS, NGRAM, Method, Overlaps
from gristmill.text.personal import KINDS, PERSONAL, personal
from gristmill.text.redaction import Find, masked
from gristmill.text.turns import said

COMPARING = ("filters.contamination", "filters.semantic_contamination")


def mask_of(run: RunFiles) -> Callable[[str], str]:
    """Return what masks a text as all filters of a run's recipe would, in their order."""
    finds = [find for stage in run.recipe.get("stages") or () for find in _find(stage)]

    def mask(text: str) -> str:
        for may_have, find in finds:
            if may_have(text):
                text = masked(text, find)
        return text

    return mask


def repeats_of(run: RunFiles) -> Callable[[Row, str], str | None]:
    """Return what says why a row that left, and its evidence, may say again what a benchmark says.

    Rows that a stage of the recipe compared are not looked at again; of the others nothing is to
    be shown where the benchmarks are gone or have changed. By words, letters and solutions only.
    """
    stages = zip(run.uses.items(), run.recipe.get("stages") or (), strict=False)
    end = len(run.places)
    compared = [
        (run.places.get(label, end), {**at, "benchmarks": names})
        for (label, use), at in stages
        if use in COMPARING and (names := at.get("benchmarks") or run.benchmarks(label))
    ]

    def why(row: Row, detail: str) -> str | None:
        place = run.places.get(row["end_at"], -1) if row.get("end_at") else end + 1
        for at in (at for later, at in compared if place <= later):
            if (index := _overlaps(at)) is None:
                return "no benchmark is here to compare it with"
            if any(map(index.find, [*said(row), detail])):
                return "it repeats a benchmark"
        return None

    return why


def _overlaps(stage: Mapping[str, Any]) -> Overlaps | None:
    """Return the benchmarks of a stage; None where they are not here as they were."""
    names = Protecting.model_fields.keys() & stage.keys()
    try:
        known = Protecting.model_validate({name: stage[name] for name in names})
        methods = tuple(stage.get("methods") or METHODS)
        return _index(known.registry, known.pins, methods, stage.get("ngram") or NGRAM)
    except InputError:
        return None


@lru_cache(maxsize=4)
def _index(
    registry: str, pins: tuple[str, ...], methods: tuple[Method, ...], ngram: int
) -> Overlaps:
    return Overlaps(protected(registry, pins), methods, ngram)


def _find(stage: Mapping[str, Any]) -> Iterator[tuple[Callable[[str], bool], Find]]:
    """Give what a stage looks for, behind what says whether it is worth to look.

    One that only flags leaves it to be seen.
    """
    if stage.get("action") == "flag":
        return
    if stage["use"] == "filters.secrets":
        yield KEYS.may_be_in, keys
    if stage["use"] == "filters.personal_data":
        kinds = frozenset(stage.get("kinds") or KINDS)
        yield PERSONAL.may_be_in, partial(personal, kinds=kinds)
