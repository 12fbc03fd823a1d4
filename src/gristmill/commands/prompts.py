"""What was asked for the answers behind a row. Prompts are not stored: they are made again.

A run sends the same requests given the same answers. So the row's seeds go through the recipe once
more, in a folder that goes afterwards, with engines that only look up what is stored.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, get_args

import yaml
from pydantic import ConfigDict

from gristmill.engines.base import Engine
from gristmill.engines.requests import Op
from gristmill.errors import EngineRefused, GristmillError, RecipeError
from gristmill.pipelines.recipe import Budget, Recipe
from gristmill.pipelines.runners import LocalRunner
from gristmill.pipelines.workspace import execute, prepare
from gristmill.publishing.calls import store_of
from gristmill.publishing.trace import Trace

NAMES = ("prompt", "context", "messages", "text", "response", "labels", "code", "cells", "tests",
         "calls", "stdin")  # fmt: skip
"""Fields of requests that say what is asked; the others say how."""


@dataclass(eq=False)
class Asked:
    """The stored answers, and the texts of the requests for some of them."""

    store: sqlite3.Connection
    wanted: Collection[str]
    texts: dict[str, str] = field(default_factory=dict)


class Recalling(Engine):
    """Answers from the store alone, in the name of another engine."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
    ops: ClassVar[frozenset[Op]] = frozenset(get_args(Op))

    named: Engine
    asked: Asked

    @property
    def identity(self) -> str:
        """That of the engine that it stands for."""
        return self.named.identity

    async def serve(self, request: Any) -> Any:
        """Note the request and return the stored answer."""
        key = request.key(self.identity)
        if key in self.asked.wanted:
            self.asked.texts[key] = written(request)
        query = "SELECT answer FROM answers WHERE key = ?"
        row = self.asked.store.execute(query, (key,)).fetchone()
        found = row and self.named.recall(request.answer.unpack(row[0]))
        if found is None:
            raise EngineRefused("no answer to it is stored")
        return found

    generate = score = entropy = diverge = attend = rate = embed = choice = serve
    run = train = see = call = classify = serve


def with_prompts(run: Path, found: Trace, *, allow_plugins: bool = False) -> Trace:
    """Return the trace with what was asked for its answers, or why that cannot be told."""
    store = store_of(run)
    wanted = {key for row in found.line for key in row.calls}
    if store is None or not wanted:
        return found
    with closing(sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)) as opened:
        asked = Asked(opened, wanted)
        try:
            workspace, ids = store.parent.parent, {row.id for row in found.line}
            _replay(run, ids, asked, workspace, allow_plugins=allow_plugins)
            why = None
        except (GristmillError, ValueError) as error:
            why = str(error)
    return replace(found, prompts=asked.texts, why_not=why)


def _replay(
    run: Path, ids: Collection[str], asked: Asked, workspace: Path, *, allow_plugins: bool
) -> None:
    lock = yaml.safe_load((run / "recipe.lock.yaml").read_text(encoding="utf-8"))
    recipe = Recipe.model_validate(lock["recipe"])
    if recipe.rounds and recipe.rounds.train:
        raise RecipeError("the recipe trains a model between rounds")
    export = {"card": False, "report": False, "formats": []}
    free = {"target": None, "budget": Budget(), "max_error_rate": 1.0}
    prepared = prepare(
        recipe.model_copy(update={**free, "export": recipe.export.model_copy(update=export)}),
        allow_plugins=allow_plugins,
    )
    seeds = prepared.seeds
    # What earlier rounds accepted is part of what is asked: they need all seeds.
    few = [i for i, name in enumerate(seeds.ids) if recipe.rounds or name in ids]
    engines = {
        role: Recalling(named=engine.in_workspace(workspace), asked=asked)
        for role, engine in prepared.engines.items()
    }
    rows, names = [seeds.rows[i] for i in few], [seeds.ids[i] for i in few]
    plan = replace(prepared.plan, selectors=())
    with tempfile.TemporaryDirectory() as folder:
        execute(
            replace(
                prepared, plan=plan, engines=engines, seeds=replace(seeds, rows=rows, ids=names)
            ),
            LocalRunner(),
            Path(folder),
        )


def written(request: Any) -> str:
    """Return a request as text: what a person would have to type to ask the same."""
    parts = []
    for name in NAMES:
        value = getattr(request, name, None)
        if isinstance(value, str):
            parts.append((name, value))
        elif value:
            parts += [
                (name, one) if isinstance(one, str) else (one["role"], one["content"])
                for one in value
            ]
    return "\n".join(f"{name}: {text}" for name, text in parts if text)
