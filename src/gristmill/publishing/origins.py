"""The card on the models of a run: where they come from, under which licence, with whose code."""

from __future__ import annotations

from collections.abc import Iterator

from gristmill.publishing import facts
from gristmill.publishing.escape import code_span
from gristmill.publishing.files import RunFiles

ORIGIN = ("pinned", "licence")
DEMO = (
    "The model `demo` ships with gristmill and has a few million parameters. It exists to show the "
    "machinery: neither what it writes nor how it scores is worth training on. For real work build "
    "the dataset again with {}."
)
TERMS = "The terms of these models apply to what they wrote; read them before you train on it."


def section(run: RunFiles) -> Iterator[str]:
    """Yield a table with a line per role, and what a reader should know before training."""
    found = facts.roles(run)
    if not found:
        return
    yield "| role | engine | model | pinned at | licence | identity |"
    yield "|---|---|---|---|---|---|"
    for role in found:
        model, identity = code_span(str(role["model"]), 100), code_span(role["identity"], 80)
        at, terms = (code_span(role[name], 80) if role[name] else "" for name in ORIGIN)
        yield f"| {role['role']} | {role['engine']} | {model} | {at} | {terms} | {identity} |"
    for role in found:
        if role["runs_code"]:
            yield f"\nCode of the model behind `{role['role']}` could run: trust_remote_code."
        if role["outside"]:
            yield f"\nTools answered outside the sandbox by {code_span(role['outside'], 100)}."
    if demo := [role["role"] for role in found if role["model"] == "demo"]:
        sets = (f"`--set engines.{role}.model=NAME`" for role in demo)
        yield f"\n{DEMO.format(' '.join(sets))}"
    elif any(use.startswith("generators.") for use in run.uses.values()):
        yield f"\n{TERMS}"
