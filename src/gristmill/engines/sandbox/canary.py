"""Inside the sandbox: the one thing that a canary run changes.

The parser sends `shift` to the program's process under one name, either what changes a value or
what leaves it; no other part of the two runs differs, and no flag says which it is. Calling it
still tells: a program that looks for it can behave only there.
"""

from posix import urandom

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any


def pick(n: int) -> int:
    """Return a number below `n` that no program foresees."""
    return int.from_bytes(urandom(4), "big") % n


def another(value: "Any") -> "Any":
    """Return something of the same kind and length that an honest comparison tells from it."""
    kind, step = type(value), 1 + pick(9)
    if kind is bool:
        return not value
    if kind in (int, complex):
        return value + step
    if kind is float:
        return value + step * max(1.0, abs(value)) if abs(value) < 1e300 else 0.0
    if kind in (str, bytes):
        i = pick(len(value) or 1)
        letters = [
            c for c in "abcdefghijklmnopqrstuvwxyz" if c not in str(value[i : i + 1]).lower()
        ]
        letter = letters[pick(len(letters))]
        return value[:i] + (letter if kind is str else letter.encode()) + value[i + 1 :]
    if kind in (list, tuple, set, frozenset):
        items = list(value) or [None]
        i = pick(len(items))
        return kind([*items[:i], another(items[i]), *items[i + 1 :]])
    if kind is dict:
        key = list(value or [step])[pick(len(value) or 1)]
        return {**value, key: another(value.get(key))}
    return step if value is None else object()


def same(value: "Any") -> "Any":
    """Return the value itself."""
    return value


def chosen(*, canary: bool) -> "CodeType":
    """Return the code of one of the two, with nothing in its name that tells which."""
    code = (another if canary else same).__code__
    return code.replace(co_name="shift", co_qualname="shift", co_firstlineno=1)
