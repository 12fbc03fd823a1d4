"""Self-preference: no judge compares its own family's answers with others alone.

Source: Panickssery et al., "LLM Evaluators Recognize and Favor Their Own Generations",
arXiv:2404.13076. Families are told by the names of models (`text.families`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from gristmill.engines.base import Engine
from gristmill.errors import RecipeError
from gristmill.pipelines.plan import Use
from gristmill.pipelines.workspace import Prepared
from gristmill.text.families import families

READERS = frozenset({"judge", "reviewer", "annotator"})
"""Roles of generators that judge or remark on what the others write."""


class Kin(NamedTuple):
    """A stage all of whose judges are of the family of somebody who wrote what they judge."""

    use: Use
    judges: tuple[str, ...]
    writers: tuple[str, ...]
    names: tuple[str, ...]
    """The families that they share."""
    is_unfair: bool
    """Whether the stage names a winner, and answers of other families stand against them."""


def kin(prepared: Prepared) -> Iterator[Kin]:
    """Yield the stages whose judges are all of a writer's family, a jury's second family aside."""
    writers: dict[str, frozenset[str]] = {}
    for use in prepared.plan.uses:
        asked = [role for role, op in use.stage.needs().items() if op in ("generate", "choice")]
        if use.folder == "generators":
            writers |= _families(set(asked) - READERS, prepared.engines)
        judging = {role for role in asked if role == "judge" or use.folder == "verifiers"}
        judges = _families(judging, prepared.engines)
        own = {
            writer: frozenset.union(*judges.values()) & names
            for writer, names in writers.items()
            if judges and all(names & other for other in judges.values())
        }
        if own:
            shared = tuple(sorted(frozenset.union(*own.values())))
            is_unfair = "winner" in use.kinds and len(own) < len(writers)
            yield Kin(use, tuple(judges), tuple(own), shared, is_unfair)


def own_family(prepared: Prepared) -> Iterator[str]:
    """Yield what to know of every such stage."""
    yield from map(_told, kin(prepared))


def apart(prepared: Prepared) -> None:
    """Refuse a judge that would choose between its own family's answers and others.

    Raises:
        RecipeError: There is one, and no judge of a second family beside it.
    """
    for one in kin(prepared):
        if one.is_unfair:
            raise RecipeError(
                f"{_told(one)}; other models wrote the other answers: take a judge of another "
                f"family, or a jury with one (verifiers.fellowship, jury: [{one.judges[0]}, OTHER])"
            )


def _told(one: Kin) -> str:
    judges, writers = (", ".join(names) for names in (one.judges, one.writers))
    return (
        f"{one.use.label}: {judges} judges what {writers} wrote, and both are of one family "
        f"({', '.join(one.names)}); models prefer their own"
    )


def _families(roles: set[str], engines: Mapping[str, Engine]) -> dict[str, frozenset[str]]:
    """Return the families of roles, of those that have one."""
    models = {role: str(getattr(engines[role], "model", "") or "") for role in sorted(roles)}
    named = {
        # `models/a` may be a folder here: no organisation of the Hub's.
        role: families(str(Path(model).resolve()) if model and Path(model).is_dir() else model)
        for role, model in models.items()
    }
    return {role: names for role, names in named.items() if names}
