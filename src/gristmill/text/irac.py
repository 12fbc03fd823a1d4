"""IRAC formats: how a legal choice and its explanation are asked for, written, and read again.

Source: Fernandes et al., "A Llama walks into the 'Bar'", arXiv:2504.04945, section 4: chosen option
or explanation first; numbered list, Markdown or JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Literal

LETTERS = "ABCD"
PARTS = ("issue", "rule", "application", "conclusion")
Order = Literal["choice_first", "explanation_first"]
Form = Literal["list", "markdown", "json"]
HOW: dict[Form, str] = {
    "list": "as a numbered list, one label and its text to a line",
    "markdown": "in Markdown, one heading to a part",
    "json": "as one JSON object with a key to a part",
}
CHOICE = {
    "list": re.compile(r"(?im)^\s*\d+\.\s*choice:\s*\(?([A-D])\b"),
    "markdown": re.compile(r"(?im)^#+\s*choice\s*\n+\s*\(?([A-D])\b"),
}


def asked(
    question: str, choices: Sequence[str], order: Order | None = None, form: Form | None = None
) -> str:
    """Return a question with its choices, and how to answer it if that is asked for."""
    options = "\n".join(f"{x}. {text}" for x, text in zip(LETTERS, choices, strict=True))
    shown = f"{question}\n{options}"
    if order is None or form is None:
        return shown
    names = ", ".join(_names(order))
    return f"{shown}\n\nAnswer {HOW[form]}, in this order: {names}. The choice is a letter."


def rendered(parts: Mapping[str, str], letter: str, order: Order, form: Form) -> str:
    """Return choice and explanation in an order and a format."""
    told = {name: {**parts, "choice": letter}[name] for name in _names(order)}
    if form == "json":
        return json.dumps(told, ensure_ascii=False, indent=1)
    if form == "markdown":
        return "\n\n".join(f"## {name.capitalize()}\n{text}" for name, text in told.items())
    flat = ((name.capitalize(), " ".join(text.split())) for name, text in told.items())
    return "\n".join(f"{i}. {name}: {text}" for i, (name, text) in enumerate(flat, 1))


def choice_in(text: str, form: Form) -> str | None:
    """Return the letter that an answer chooses in its format, once; None otherwise."""
    if form == "json":
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            return None
        found = [str(said.get("choice"))] if isinstance(said, dict) else []
    else:
        found = CHOICE[form].findall(text)
    letters = [one.strip().upper() for one in found]
    return letters[0] if len(letters) == 1 and letters[0] in {*LETTERS} else None


def _names(order: Order) -> tuple[str, ...]:
    return ("choice", *PARTS) if order == "choice_first" else (*PARTS, "choice")
