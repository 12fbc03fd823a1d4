"""Values and their JSON schemas: what is wrong with a value, and a value that fits.

It goes into the sandbox as text, so it imports the standard library only. A `pattern` is not looked
at: it comes from files of others, and may take for ever.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

Json = Any
Schema = Mapping[str, Any]
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
WORDS = (
    "amber", "harbor", "cedar", "lantern", "meadow", "copper", "willow", "summit", "velvet",
    "orchard", "marble", "falcon", "ember", "canyon", "silver", "prairie",
)  # fmt: skip


def problem(schema: Schema, value: Json, where: str = "arguments") -> str | None:
    """Say what is wrong with a value, by the keywords that `text.openapi` keeps; None if nothing.

    It says what JSON Schema (draft 2020-12) says of them.
    """
    if "anyOf" in schema:
        found = [problem(one, value, where) for one in schema["anyOf"]]
        if all(found):
            return found[0]
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(is_a(kind, value) for kind in kinds):
        return f"{where} must be {' or '.join(kinds)}, found {json.dumps(value)[:80]}"
    if "enum" in schema and not any(_same(value, one) for one in schema["enum"]):
        return f"{where} must be one of {json.dumps(schema['enum'])[:200]}"
    if isinstance(value, dict):
        return _object_problem(schema, value, where)
    if isinstance(value, list):
        items = schema.get("items", {})
        inner = (problem(items, one, f"{where}[{i}]") for i, one in enumerate(value))
        wrong = _outside(schema, len(value), f"the length of {where}", "Items")
        return wrong or next(filter(None, inner), None)
    if isinstance(value, str):
        return _outside(schema, len(value), f"the length of {where}", "Length")
    if is_a("number", value):
        return _outside(schema, value, where, "imum")
    return None


def made(schema: Schema, key: str) -> Json:
    """Return a value of the schema: the same for the same key.

    It fits unless limits contradict each other, or an alternative what stands beside it.
    """
    n = _number(key)
    if choices := schema.get("anyOf"):
        one = next((one for one in choices if one.get("type") != "null"), choices[0])
        return made({**{k: v for k, v in schema.items() if k != "anyOf"}, **one}, key)
    if schema.get("enum"):
        return schema["enum"][n % len(schema["enum"])]
    if "example" in schema and problem(schema, schema["example"]) is None:
        return schema["example"]
    kinds = schema.get("type", "object" if "properties" in schema else "string")
    kind = kinds if isinstance(kinds, str) else next((k for k in kinds if k != "null"), "null")
    if kind == "object":
        inner = schema.get("properties", {})
        return {name: made(one, f"{key}.{name}") for name, one in inner.items()}
    if kind == "array":
        least, most = schema.get("minItems", 0), schema.get("maxItems", 3)
        n_items = min(max(1 + n % 3, least), max(most, least))
        return [made(schema.get("items", {}), f"{key}.{i}") for i in range(n_items)]
    if kind in ("integer", "number"):
        return _made_number(schema, kind, n)
    return _made_text(schema, n) if kind == "string" else {"boolean": n % 2 == 0}.get(kind)


def is_a(kind: str, value: Any) -> bool:
    """Say whether a value is of a type of JSON: 1.0 is an integer, a truth value is no number."""
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    is_flag = isinstance(value, bool)
    return isinstance(value, TYPES.get(kind, (object,))) and (not is_flag or kind == "boolean")


def _same(one: Any, other: Any) -> bool:
    return bool(one == other and isinstance(one, bool) == isinstance(other, bool))


def _object_problem(schema: Schema, value: dict[str, Any], where: str) -> str | None:
    if missing := [name for name in schema.get("required", []) if name not in value]:
        return f"{where} lacks {', '.join(missing)}"
    inner = schema.get("properties", {})
    if schema.get("additionalProperties") is False and (more := sorted({*value} - {*inner})):
        known = ", ".join(inner) or "nothing"
        return f"{where} has {', '.join(more)[:200]}, but only {known} may be there"
    told = (
        problem(inner[name], one, f"{where}.{name}") for name, one in value.items() if name in inner
    )
    return next(filter(None, told), None)


def _outside(schema: Schema, value: float, what: str, unit: str) -> str | None:
    """Compare a number, or a length, with the limits of its schema."""
    limits = [("at least", f"min{unit}", operator.ge), ("at most", f"max{unit}", operator.le)]
    if unit == "imum":
        limits.append(("more than", "exclusiveMinimum", operator.gt))
        limits.append(("less than", "exclusiveMaximum", operator.lt))
    for words, keyword, holds in limits:
        if keyword in schema and not holds(value, schema[keyword]):
            return f"{what} must be {words} {schema[keyword]}, found {value}"
    return None


def _number(key: str) -> int:
    return int.from_bytes(blake2b(key.encode("utf-8", "replace"), digest_size=6).digest(), "big")


def _made_number(schema: Schema, kind: str, n: int) -> float:
    """Return a number inside its limits; where there are none, from 1 to 1000."""
    step = 1 if kind == "integer" else 0.01
    least = schema.get("minimum", schema.get("exclusiveMinimum", None))
    most = schema.get("maximum", schema.get("exclusiveMaximum", None))
    least = (1 if most is None else min(1, most - 999)) if least is None else least
    most = max(least, least + 999 if most is None else most)
    low = math.ceil(least) if kind == "integer" else least
    low += step * ("exclusiveMinimum" in schema and low <= schema["exclusiveMinimum"])
    most -= step * ("exclusiveMaximum" in schema and most >= schema["exclusiveMaximum"])
    if kind == "integer":
        return low + n % max(1, math.floor(most) - low + 1)
    return min(most, max(low, round(low + (most - low) * (n % 10_000) / 10_000, 2)))


def _made_text(schema: Schema, n: int) -> str:
    one, other, day = WORDS[n % 16], WORDS[n // 16 % 16], f"2024-{1 + n % 12:02}-{1 + n % 28:02}"
    formats = {
        "date": day,
        "date-time": f"{day}T{n % 24:02}:{n % 60:02}:00Z",
        "email": f"{one}.{other}@example.com",
        "uri": f"https://example.com/{one}/{n % 1000}",
        "url": f"https://example.com/{one}/{n % 1000}",
        "uuid": f"{n % 16**8:08x}-0000-4000-8000-{n:012x}",
    }
    text: str = formats.get(schema.get("format", ""), f"{one} {other}")
    least: int = schema.get("minLength", 0)
    most: int = schema.get("maxLength", max(least, len(text)))
    return (text + "".join(WORDS) * (1 + least // 80))[: max(least, min(len(text), most))]
