"""What card and report must not show of rows that left: what filters of the recipe look for.

A row that left before such a filter came to it was never masked or dropped by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from gristmill.publishing.files import RunFiles
from gristmill.text.keys import KEYS, keys
from gristmill.text.personal import KINDS, PERSONAL, personal
from gristmill.text.redaction import Find, masked


def mask_of(run: RunFiles) -> Callable[[str], str]:
    """Return what masks a text as all filters of a run's recipe would, in their order."""
    finds = [find for stage in run.recipe.get("stages") or () for find in _find(stage)]

    def mask(text: str) -> str:
        for may_have, find in finds:
            if may_have(text):
                text = masked(text, find)
        return text

    return mask


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
