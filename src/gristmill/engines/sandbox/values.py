"""Values that a program sent, compared with the expected ones outside its process.

A value is a list: its type's tag, then its content. An assert means what `==` means in Python,
with one exception: True is no 1 and False is no 0 where a number is expected. Where only the truth
of a value is asked for, `["T", 1]` or `["T", 0]` is expected.
"""

from __future__ import annotations

import math
from typing import Any

Encoded = list[Any]


def is_same(expected: Encoded, found: Encoded) -> bool:
    """Compare two encoded values; a malformed one is like nothing."""
    try:
        if expected[0] == "T":
            return is_true(found) == bool(expected[1])
        return _is_same(_normal(expected), _normal(found))
    except (TypeError, ValueError, IndexError, RecursionError, OverflowError):
        return False


def is_comparable(expected: Encoded, found: Encoded) -> bool:
    """Say whether a value says enough: of one that cannot be written only the truth is known."""
    return found[0] != "?" or (expected[0] == "T" and len(found) == 3)


def is_true(value: Encoded) -> bool:
    """Return the truth of a value from its content."""
    tag, *parts = value
    if tag == "?":
        return bool(parts[1])
    if tag == "i":
        return int(parts[0], 16) != 0
    if tag in ("f", "c"):
        return any(float.fromhex(part) for part in parts)
    if tag in ("b", "s", "y"):
        return bool(parts[0])
    return bool(parts)


def show(value: Encoded) -> str:
    """Return a value roughly as Python writes it, for a message."""
    try:
        return _show(value)[:300]
    except (TypeError, ValueError, IndexError, RecursionError, OverflowError):
        return repr(value)[:300]


def form(value: Encoded | None) -> str | None:
    """Return a text that equal values share; None for no value: an exception, a malformed one.

    As `is_same`, but every NaN is like every other, and True is never 1.
    """
    try:
        return None if value is None or value[0] in ("!", "?") else _text(_normal(value))
    except (TypeError, ValueError, IndexError, RecursionError, OverflowError):
        return None


def _text(part: Any) -> str:
    if isinstance(part, (list, tuple)):
        return f"[{','.join(map(_text, part))}]"
    return hex(part) if type(part) is int else repr(part)


def _normal(value: Encoded) -> Any:
    """Give equal values one form: numbers by value, sets and dicts in order of it."""
    tag, *parts = value
    if tag == "i":
        return ("number", int(parts[0], 16))
    if tag == "f":
        number = float.fromhex(parts[0])
        if math.isfinite(number) and number.is_integer():
            return ("number", int(number))
        return ("number", None if math.isnan(number) else number)
    if tag == "c":
        real, imaginary = (float.fromhex(part) + 0.0 for part in parts)  # -0.0 is 0.0
        return (tag, real, imaginary) if imaginary else _normal(["f", real.hex()])
    if tag in ("l", "t"):
        return (tag, [_normal(part) for part in parts])
    if tag == "S":
        return (tag, sorted((_normal(part) for part in parts), key=_text))
    if tag == "d":
        pairs = [(_normal(key), _normal(content)) for key, content in parts]
        return (tag, sorted(pairs, key=_text))
    return (tag, *parts)


def _is_same(expected: Any, found: Any) -> bool:
    if expected[0] == "b" and found[0] == "number":
        return bool(expected[1] == found[1])
    if expected[0] != found[0]:
        return False
    if expected[0] in ("l", "t"):
        return len(expected[1]) == len(found[1]) and all(
            _is_same(e, f) for e, f in zip(expected[1], found[1], strict=True)
        )
    return bool(expected == found) and expected != ("number", None)


def _show(value: Encoded) -> str:
    tag, *parts = value
    if tag == "n":
        return "None"
    if tag == "T":
        return "what is true" if parts[0] else "what is false"
    if tag == "b":
        return str(bool(parts[0]))
    if tag == "i":
        return str(int(parts[0], 16)) if len(parts[0]) < 100 else parts[0]
    if tag == "f":
        return repr(float.fromhex(parts[0]))
    if tag == "s":
        return repr(parts[0])
    if tag == "d":
        return "{" + ", ".join(f"{_show(k)}: {_show(v)}" for k, v in parts) + "}"
    if tag in ("l", "t", "S"):
        brackets = {"l": "[]", "t": "()", "S": "{}"}[tag]
        return brackets[0] + ", ".join(map(_show, parts)) + brackets[1]
    return repr(value)
