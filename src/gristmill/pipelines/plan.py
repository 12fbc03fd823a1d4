"""The check: a recipe becomes a plan, or an error that says what to change. Loads no model."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from itertools import groupby
from types import ModuleType
from typing import Any

import pyarrow as pa

from gristmill.engines import plugins, retraining
from gristmill.engines.base import Engine
from gristmill.engines.named import built, modules
from gristmill.engines.source import source_of
from gristmill.errors import RecipeError
from gristmill.pipelines.recipe import Recipe
from gristmill.pipelines.stage import RowStage, Stage, TableStage
from gristmill.storage.ids import digest
from gristmill.storage.ledger import label_of
from gristmill.storage.rows import CLEARED, CONTENT, SYSTEM, schema_of

FOLDERS = {
    "generators": "meta",
    "filters": "meta",
    "verifiers": "verdicts",
    "scorers": "scores",
    "selectors": "picks",
}
"""The folders of stages, and where the columns land that are not columns of every row."""


@dataclass(frozen=True)
class Use:
    """One stage as one recipe uses it."""

    label: str
    folder: str
    stage: RowStage | TableStage

    @cached_property
    def kinds(self) -> Mapping[str, pa.DataType]:
        """The type of each written column."""
        return self.stage.writes()

    @cached_property
    def lands(self) -> dict[str, str]:
        """Where each written column lands."""
        inside = f"{FOLDERS[self.folder]}.{self.label}"
        return {c: c if c in CONTENT else f"{inside}.{c}" for c in self.kinds}

    @cached_property
    def reads(self) -> frozenset[str]:
        """The columns that the stage gets, asked for once: annotations are slow to resolve."""
        return self.stage.reads()

    @cached_property
    def awaits(self) -> bool:
        """Whether the stage gets a context."""
        return self.stage.awaits()

    @cached_property
    def is_barrier(self) -> bool:
        """Whether the stage must see all rows at once."""
        return isinstance(self.stage, TableStage) and self.stage.scope == "table"


@dataclass(frozen=True)
class Plan:
    """A checked recipe. A unit is a fused run of uses, or one barrier."""

    units: tuple[tuple[Use, ...], ...]
    selectors: tuple[Use, ...]
    """The trailing selectors: called once, over the rows that count for the target."""
    types: Mapping[str, pa.DataType]
    fingerprint: str

    @cached_property
    def code(self) -> str:
        """The hash of the code that decides the rows."""
        return source_of(use.stage for use in self.uses)

    @property
    def uses(self) -> list[Use]:
        """Every use in order."""
        return [use for unit in self.units for use in unit] + list(self.selectors)

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema of the dataset."""
        return schema_of(self.types)

    @cached_property
    def shard_schema(self) -> pa.Schema:
        """The schema of a shard: the row and the way it ended."""
        return schema_of(self.types, ends=True)

    @property
    def labels(self) -> list[str]:
        """The labels of every stage in order."""
        units = [use.label for unit in self.units for use in unit]
        return [*units, "target", *(use.label for use in self.selectors)]


def check(
    recipe: Recipe,
    columns: Mapping[str, pa.DataType],
    engines: Mapping[str, Engine],
    seeds: str = "",
    *,
    allow_plugins: bool = False,
) -> Plan:
    """Build every stage and check names, parameters, columns, roles and the target.

    `seeds` names the content of the seeds: other seeds are another run.
    """
    uses: list[Use] = []
    for i, entry in enumerate(recipe.stages):
        taken = {"seeds", "target", *(use.label for use in uses)}
        uses.append(_use(f"stages[{i}]", entry, taken, allow_plugins=allow_plugins))
    _check_map(recipe, uses)
    types = {**columns, **SYSTEM}
    gone: set[str] = set()
    for i, use in enumerate(uses):
        where = f"stages[{i}] ({recipe.stages[i]['use']})"
        _check_columns(where, use, {name: t for name, t in types.items() if name not in gone})
        _check_roles(where, use, engines)
        alone = not any(isinstance(u.stage, RowStage) and u.stage.expands() for u in uses[:i])
        if isinstance(use.stage, TableStage) and not use.is_barrier and alone:
            raise RecipeError(f"{where} compares siblings, but no stage before it makes any")
        written = {use.lands[name]: kind for name, kind in use.stage.writes().items()}
        if "instruction" in written:
            gone |= {name for name in types if name.split(".")[0] in CLEARED}
        gone -= written.keys()
        types |= written
    if recipe.rounds and recipe.rounds.train:
        retraining.check(recipe.rounds.train, engines, called(recipe, uses) - {"trainer"})
        retraining.check_ranked(recipe.rounds.ranked, types)
    _check_unused(recipe, called(recipe, uses))
    cut = len(uses)
    while cut and uses[cut - 1].folder == "selectors" and uses[cut - 1].is_barrier:
        cut -= 1
    _check_target(recipe, uses[cut:], cut)
    key = _fingerprint(recipe, uses, columns, engines, seeds)
    return Plan(tuple(_units(uses[:cut])), tuple(uses[cut:]), types, key)


def _fingerprint(
    recipe: Recipe,
    uses: Sequence[Use],
    columns: Mapping[str, pa.DataType],
    engines: Mapping[str, Engine],
    seeds: str,
) -> str:
    """Name everything that decides the rows; target, budget and shard sizes decide none."""
    stages = [[use.label, use.folder, *use.stage.identity] for use in uses]
    roles = {role: engines[role].identity for role in called(recipe, uses)}
    kinds = {name: str(kind) for name, kind in columns.items()}
    rounds = recipe.rounds and recipe.rounds.model_dump(exclude_none=True)
    return digest(recipe.name, recipe.seed, stages, roles, kinds, rounds, seeds)


def called(recipe: Recipe, uses: Iterable[Use]) -> set[str]:
    """Return the roles whose answers decide the rows."""
    training = {"trainer"} if recipe.rounds and recipe.rounds.train else set[str]()
    return training.union(*(use.stage.needs() for use in uses))


def _use(
    where: str, entry: Mapping[str, Any], taken: Collection[str], *, allow_plugins: bool
) -> Use:
    use = str(entry.get("use", ""))
    if "." not in use or not all(part.isidentifier() for part in use.split(".")):
        raise RecipeError(
            f"{where}: `use` must be like 'filters.length', found {entry.get('use')!r}; "
            f"folders are {sorted(FOLDERS)}"
        )
    label = label_of(entry)
    if label in taken:
        raise RecipeError(f"{where}: the label '{label}' is taken; add `as: another_name`")
    if not label.isidentifier():
        raise RecipeError(f"{where}: the label '{label}' must be letters, digits and _")
    folder, module = _module(where, use, allow_plugins=allow_plugins)
    stage = built(module, where, {**entry, "use": use}, Stage)
    if not isinstance(stage, RowStage | TableStage):
        raise RecipeError(f"{where}: '{use}' is neither a row stage nor a table stage")
    return Use(label, folder, stage)


def _module(where: str, use: str, *, allow_plugins: bool) -> tuple[str, ModuleType]:
    known = [f"{folder}.{name}" for folder in FOLDERS for name in modules(f"gristmill.{folder}")]
    if use in known:
        return use.partition(".")[0], importlib.import_module(f"gristmill.{use}")
    inside = use.removeprefix("gristmill.")
    if inside == use and (found := plugins.find(where, use, FOLDERS, allowed=allow_plugins)):
        return found
    folder = inside.partition(".")[0]
    near = [name for name in known if name == inside] or get_close_matches(inside, known)
    near = near or [name for name in known if name.startswith(folder)]
    raise RecipeError(f"{where}: no '{use}'; did you mean one of {near}?")


def _check_map(recipe: Recipe, uses: Iterable[Use]) -> None:
    """Refuse a name in `seeds.map` that would only make another column for nobody."""
    known = {*CONTENT, "system", *(name for use in uses for name in use.reads)}
    for name in recipe.seeds.map.keys() - known:
        near = get_close_matches(name, sorted(known)) or sorted(known)
        raise RecipeError(f"seeds.map: no stage reads a column '{name}'; did you mean {near}?")


def _check_columns(where: str, use: Use, types: Mapping[str, Any]) -> None:
    for name in sorted(use.stage.reads() - use.stage.optional() - set(types)):
        have = sorted(set(types) - set(SYSTEM))
        hint = f"add a stage that writes it, or --map {name}=YOURS"
        if near := get_close_matches(name, have):
            hint = f"did you mean {near}?"
        raise RecipeError(f"{where} reads '{name}', but only {have} exist here; {hint}")
    for path in use.lands.values():
        if path in CONTENT and path in types and types[path] != CONTENT[path]:
            raise RecipeError(f"{where} writes '{path}', which is {CONTENT[path]} in every recipe")


def _check_roles(where: str, use: Use, engines: Mapping[str, Engine]) -> None:
    for role, op in sorted(use.stage.needs().items()):
        if role not in engines:
            raise RecipeError(f"{where} calls '{role}'; add it to engines, found {sorted(engines)}")
        if op not in engines[role].ops:
            raise RecipeError(
                f"{where} needs '{role}' to {op}, but {type(engines[role]).__name__} can only "
                f"{sorted(engines[role].ops)}; bind '{role}' to another engine"
            )
        engines[role].accept(where, use.stage)


def _check_unused(recipe: Recipe, roles: Collection[str]) -> None:
    for role in sorted(recipe.engines.keys() - {*roles, "sandbox", "trainer"}):
        near = get_close_matches(role, sorted(roles))
        hint = f"did you mean {near}?" if near else f"remove it; found {sorted(roles)}"
        raise RecipeError(f"engines.{role}: no stage calls '{role}'; {hint}")


def _check_target(recipe: Recipe, selectors: Iterable[Use], cut: int) -> None:
    for i, use in enumerate(selectors, cut):
        k = getattr(use.stage, "k", None)
        if recipe.target is not None and isinstance(k, int) and k > recipe.target:
            raise RecipeError(
                f"stages[{i}] ({use.label}) keeps k={k} of only target={recipe.target} rows; "
                "lower k or raise target"
            )


def _units(uses: Iterable[Use]) -> Iterable[tuple[Use, ...]]:
    for alone, some in groupby(uses, key=lambda use: use.is_barrier):
        fused = tuple(some)
        yield from ((use,) for use in fused) if alone else [fused]
