"""Inside the sandbox: chance that no program foresees, and values that are not what they were."""

from posix import urandom

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def pick(n: int) -> int:
    """Return a number below `n` that no program foresees."""
    return int.from_bytes(urandom(4), "big") % n


def another(value: "Any") -> "Any":
    """Return something of the same kind and length that an honest comparison tells from it."""
    kind, step = type(value), 1 + pick(9)
    if kind is bool:
        return not value
    if kind is int:
        return value + step
    if kind in (float, complex):
        return value + step * max(1.0, abs(value)) if abs(value) < 1e300 else kind(0)
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


def asked_often(equal: "Any", left: "Any", right: "Any", found: "Any") -> "tuple[bool, Any]":
    """Ask in an order of chance; return whether other values are equal, too, and the answer."""
    n = 15
    at = pick(n + 1)
    wrong, held = False, None
    for i in range(n + 1):
        if i == at:
            held = equal(left, right)
            continue
        pair = (left, another(right)) if found[0] else (another(left), right)
        try:
            wrong |= bool(equal(*pair))
        except Exception:  # noqa: BLE001 - honest code may not know what to do with it
            continue
    return wrong, held
