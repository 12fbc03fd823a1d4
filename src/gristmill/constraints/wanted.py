"""Constraints as a row has them: what generators write, verifiers read and prompts tell."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypedDict

from gristmill.constraints.catalogue import LIMIT_S, Constraint, check_both, constraint
from gristmill.constraints.kinds import Verdict
from gristmill.constraints.mul_dim import MUL_DIM, SUBCATEGORIES
from gristmill.constraints.parts import answer_of
from gristmill.errors import InputError


class Wanted(TypedDict):
    """A constraint in a column; `params` is JSON."""

    cid: str
    params: str
    scope: str


def wanted(one: Constraint) -> Wanted:
    """Return a constraint as a column has it."""
    params = json.dumps(dict(one.params), ensure_ascii=False)
    return Wanted(cid=one.cid, params=params, scope=one.scope)


def listed(value: Any) -> list[Any]:
    """Return what a column holds as a list: itself, or read from JSON; empty where it is none."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return []
    return value if isinstance(value, list) else []


def read(one: Any, params: Any) -> Constraint | Verdict:
    """Return a constraint as a row has it, or the error that it is."""
    try:
        scope = None
        if isinstance(one, dict):
            one, params, scope = one.get("cid"), one.get("params"), one.get("scope")
        if isinstance(params, str):
            params = json.loads(params)
        if not isinstance(one, str) or not isinstance(params, dict | None):
            return Verdict("error", "no cid with params")
        return constraint(one, params or {}, scope)
    except (InputError, ValueError, RecursionError) as error:
        return Verdict("error", str(error))


def judge(
    given: Sequence[Constraint | Verdict], answer: str | None, *, limit_s: float = LIMIT_S
) -> list[tuple[Verdict, Verdict]]:
    """Return what is said of a model's answer, strictly and loosely, by constraint.

    What is no constraint has its verdict already.

    Reasoning is there for constraints on it alone.
    """
    whole = answer or ""
    texts = {True: whole, False: answer_of(whole)}
    known = [one for one in given if isinstance(one, Constraint)]
    found = dict[bool, Iterator[tuple[Verdict, Verdict]]]()
    for is_reasoning, text in texts.items():
        some = [one for one in known if (one.scope == "reasoning") == is_reasoning]
        found[is_reasoning] = zip(*check_both(some, text, limit_s=limit_s), strict=True)
    return [
        (one, one) if isinstance(one, Verdict) else next(found[one.scope == "reasoning"])
        for one in given
    ]


def told(column: Iterable[Wanted]) -> str:
    """Return the sentences that ask for them, one a line after a dash; "none" without any."""
    known = (constraint(one["cid"], json.loads(one["params"]), one["scope"]) for one in column)
    return "\n".join(f"- {one.text}" for one in known) or "none"


def shape(column: Iterable[Wanted]) -> list[tuple[str, str]]:
    """Return category and subcategory of each, by the names of MulDimIF, in order."""
    return [PLACES[one["cid"]] for one in column]


def kinds(category: str) -> str:
    """Return the types of a category of MulDimIF as a model reads them: id, op and sentence."""
    return "\n".join(
        f"{cid}, op {op}: {sentence}"
        for cid, place in PLACES.items()
        if place[0] == category
        for op, sentence in _sentences(cid)
    )


def _sentences(cid: str) -> list[tuple[str, str]]:
    template = MUL_DIM[cid].template
    if isinstance(template, str):
        return [("", template)]
    return [*template.items()]


PLACES = {
    cid: (category, subcategory)
    for category, within in SUBCATEGORIES.items()
    for subcategory, cids in within.items()
    for cid in cids
}
"""Id of a type of MulDimIF -> its category and subcategory."""
