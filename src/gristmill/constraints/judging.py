"""Judge a response by a constraint: what runs in the process that `limit` can end.

Source: Zhou et al., "Instruction-Following Evaluation for Large Language Models",
arXiv:2311.07911, section 2.3 (strict and loose).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import chain
from typing import Any

from gristmill.constraints.catalogue import KINDS, MAX_DETECTED
from gristmill.constraints.kinds import Verdict
from gristmill.constraints.languages import load
from gristmill.constraints.parts import Scope, parts_of

Asked = tuple[str, Mapping[str, Any], Scope]
"""A constraint: type, parameters, scope."""
Question = tuple[Sequence[Asked], Sequence[str], tuple[bool, ...], Iterable[str]]
"""Constraints; responses, none of them blank; the ways in which they are judged, of which True is
strictly; the modules that put the types into `KINDS`, when they are imported."""


def prepare(question: Question) -> None:
    """Load what the types need.

    Raises:
        RequirementError: a language is to be told, and the package that tells it is missing.
    """
    asked, _, _, modules = question
    for module in modules:
        if module not in sys.modules:
            import_module(module)
    if any(KINDS[cid].most == MAX_DETECTED for cid, _, _ in asked):
        load()


def answer(question: Question) -> list[list[list[Verdict]]]:
    """Return the verdicts on each response, by way and constraint.

    Loosely after strictly, only what may have another verdict is looked at.
    """
    asked, responses, ways, _ = question
    found = list[list[list[Verdict]]]()
    for text in responses:
        found.append([])
        for strict in ways:
            known = found[-1][0] if found[-1] else [None] * len(asked)
            found[-1].append(
                [
                    before
                    if before and before.is_loose_too
                    else _judged(cid, params, text)
                    if strict and scope == "response"
                    else _of_parts(cid, params, text, scope, strict)
                    for (cid, params, scope), before in zip(asked, known, strict=True)
                ]
            )
    return found


def _of_parts(
    cid: str, params: Mapping[str, Any], text: str, scope: Scope, strict: bool
) -> Verdict:
    """Judge every part; loosely, it passes when any of its `variants` does."""
    verdict = Verdict("fail", f"nothing there for scope {scope}")
    seen, most = 0, KINDS[cid].most
    for part in parts_of(text, scope):
        found = list[Verdict]()
        for form in [part] if strict else chain([part], variants(part)):
            if (seen := seen + 1) > most:
                return Verdict("error", f"more than {most} texts to judge")
            found.append(_judged(cid, params, form))
            if found[-1].passed:
                break
        verdict = found[-1] if found[-1].passed else found[0]
        if not verdict.passed:
            break
    return verdict


def variants(text: str) -> Iterator[str]:
    """Return the other forms that count loosely: without stars, without first or last line."""
    lines = text.split("\n")
    parts = ["\n".join(some).strip() for some in (lines[1:], lines[:-1], lines[1:-1])]
    for part in dict.fromkeys([*parts, *(part.replace("*", "") for part in (text, *parts))]):
        if part != text and part.strip():
            yield part


def _judged(cid: str, params: Mapping[str, Any], text: str) -> Verdict:
    try:
        holds, measured = KINDS[cid].check(text, **params)
    except RecursionError:
        return Verdict("error", "it nests too deep to be read")
    return Verdict("pass" if holds else "fail", measured)
