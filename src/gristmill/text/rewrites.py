"""Rules for what a model wrote: a new version of an instruction, or a list of new ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal, get_args

from gristmill.text import detectors
from gristmill.text.leaks import leak
from gristmill.text.numbered import numbered
from gristmill.text.rouge import repeats, rouge_l
from gristmill.text.words import words

Flaw = Literal["template_leak", "refusal", "answered", "no_gain"]
REWRITE_FLAWS: frozenset[Flaw] = frozenset(get_args(Flaw))
"""The ways in which a text is no new version."""
COPIED = 0.7
"""ROUGE-L above which a new instruction is one of the examples."""


def rewrite_flaw(child: str, parent: str, marks: Iterable[str]) -> tuple[Flaw, str] | None:
    """Name the first way in which a text is no new version of its parent, with the evidence.

    It has one of the prompt's `marks`, declines, answers, or plainly repeats the parent.
    """
    if mark := leak(child, marks):
        return "template_leak", f"'{mark}' in: {child}"
    if found := detectors.declines(child):
        return "refusal", f"{found}: {child}"
    if found := detectors.answers(child):
        return "answered", f"{found}: {child}"
    return ("no_gain", f"repeats its parent: {child}") if _repeats(child, parent) else None


def _repeats(child: str, parent: str) -> bool:
    return repeats(words(child), words(parent))


def listed(
    reply: str, shown: Collection[str], marks: Iterable[str], n: int, *, is_cut: bool
) -> list[tuple[str, str]]:
    """Return the first `n` new instructions of a numbered list as ("", text), in its order.

    What is none has its flaw in the first place and the evidence in the second: one of
    REWRITE_FLAWS, `copied_example`, `over_limit` behind the first `n`, `cut_off` for the last one
    where the reply `is_cut` off. A reply without a list is one `no_list`.
    """
    items = numbered(reply)
    found = [(_item_flaw(item, shown, marks) or ("", item)) for item in items[:n]]
    found += [("over_limit", item) for item in items[n:]]
    if is_cut and items:
        found[-1] = ("cut_off", items[-1])
    return found or [("no_list", reply)]


def _item_flaw(item: str, shown: Collection[str], marks: Iterable[str]) -> tuple[str, str] | None:
    if flaw := rewrite_flaw(item, "", marks):
        return flaw
    copied = next((one for one in shown if rouge_l(item, one) > COPIED), None)
    return None if copied is None else ("copied_example", f"{item} is like: {copied}")
