"""Inside the sandbox: the one thing that a canary run changes.

The parser sends `shift` to the program's process under one name, either what changes a value or
what leaves it; no other part of the two runs differs, and no flag says which it is. Calling it
still tells: a program that looks for it can behave only there.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any


def shift(value: "Any") -> "Any":
    """Return something of the same kind that an honest comparison tells from `value`."""
    kind = type(value)
    if kind is bool:
        return not value
    if kind in (int, complex):
        return value + 1
    if kind is float:
        return value + max(1.0, abs(value)) if abs(value) < 1e300 else 0.0
    if kind in (str, bytes):
        return value + ("~" if kind is str else b"~")
    if kind in (list, tuple):
        return kind([*value, "~"])
    if kind in (set, frozenset):
        return kind([*value, "~~"])
    if kind is dict:
        return {**value, "~~": 0}
    return object()


def same(value: "Any") -> "Any":
    """Return the value itself."""
    return value


def chosen(*, canary: bool) -> "CodeType":
    """Return the code of one of the two, with nothing in its name that tells which."""
    code = (shift if canary else same).__code__
    return code.replace(co_name="shift", co_qualname="shift", co_firstlineno=1)
