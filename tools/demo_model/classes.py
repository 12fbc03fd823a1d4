"""Families of small classes: a state, how it starts, and two or three methods."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from demo_model.made import Made, letters

Method = dict[str, Any]
"""`head`, `what` (its wording), `body`, and a `call` to try."""
TABLES = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))


def _class(field: str) -> Callable[[random.Random], Made]:
    """Return the family of classes around one kind of state."""
    table = TABLES[field]
    menu: dict[str, Method] = table["methods"]

    def family(rng: random.Random) -> Made:
        fill = {
            "k": rng.randint(2, 4),
            "j": rng.randint(1, 9),
            "h": rng.randint(6, 12),
            "s": rng.randint(0, 9),
            "p": rng.choice("-+*.!?_#:~"),
        }
        title = rng.choice(table["titles"])
        picks: list[Method] = []
        for name in rng.sample(sorted(menu), len(menu)):
            if all(_name(menu[name]) != _name(pick) for pick in picks):
                picks.append(menu[name])
        picks = sorted(picks[: rng.choice((1, 2, 2, 3))], key=_order)
        if _order(picks[0]) and field != "value":
            picks = [rng.choice([m for m in menu.values() if not _order(m)]), *picks[:2]]
        start, empty = table["start"]
        body = ["def __init__(self):", f"    self.{field} = " + _fill(empty, fill)]
        said = [f"`{field}` holds the state and {_fill(start, fill)}"]
        for pick in picks:
            body += ["", f"def {pick['head']}:"]
            body += [f"    {_fill(line, fill)}" for line in pick["body"]]
            said.append(_fill(pick["what"], fill))
        extra = rng.choice(table["extra"]) if rng.random() < 0.5 else None
        if extra:
            name, what, value = extra
            head = f"{name}(self, n)" if "(n)" in what else f"{name}(self)"
            body += ["", f"def {head}:", f"    return {_fill(value, fill)}"]
            said.append(_fill(what, fill))
        made = Made(title, "; ".join(said), body, "Keep the state in one attribute", kind="class")
        made.steps = len(picks) + bool(extra)
        made.cases = _uses(rng, picks, field, extra)
        return made

    return family


def _order(method: Method) -> int:
    """Put first what fills the state, last what empties it."""
    name = _name(method)
    return 0 if name in ("push", "put", "add") else 2 if name == "clear" else 1


def _name(method: Method) -> str:
    return str(method["head"].split("(")[0])


def _fill(text: str, fill: dict[str, object]) -> str:
    for key, value in fill.items():
        text = text.replace("{" + key + "}", str(value))
    return text


def _uses(
    rng: random.Random, picks: list[Method], field: str, extra: list[str] | None
) -> list[list[str]]:
    """Return lines to try; a line that starts with `?` is an expression to check."""
    lines: list[str] = []
    for call in (pick["call"] for pick in picks):
        for _ in range(2 if "{" in call and len(picks) < 3 else 1):
            lines.append(_fill(call, {"n": rng.randint(1, 9), "w": letters(rng, 1, 3)}))
            if rng.random() < 0.6:
                lines.append(f"?{field}")
    if not lines[-1].startswith("?"):
        lines.append(f"?{field}")
    if extra:
        argument = ""
        if "(n)" in extra[1]:
            argument = str(rng.randint(1, 9)) if field == "items" else repr(letters(rng, 1, 3))
        lines.append(f"?{extra[0]}({argument})")
    return [lines]


FAMILIES = {f"class_{field}": _class(field) for field in TABLES}
