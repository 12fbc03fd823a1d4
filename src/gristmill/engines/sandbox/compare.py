"""Inside the sandbox, beside the program: what tests that count their asserts call.

Only the code of these functions goes there. The launcher gives them built-in functions of their
own, taken before the program ran. They answer the tests alone.
"""

from marshal import loads
from sys import _getframe as getframe

from gristmill.engines.sandbox.chance import another, asked_often
from gristmill.engines.sandbox.taking import late, take

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Space = dict[str, Any]
    Liar = Callable[[Any], Any]

ACTIONS: "Space" = {}
"""What `operators` gives, filled where these functions are made."""


def begin(
    space: "Space",
    package: "Space",
    emit: "Callable[..., None]",
    value: "Callable[[int, Any], None]",
) -> "Space":
    """Return what the tests find; to be called before the code runs."""

    def lies() -> None:
        emit('"lies"')

    def alone(value: "Any") -> "Any":
        if any(map(liar, inside(value))):
            lies()
        return value

    taken, own = renewed(take(package["taken"]))
    absent = [one for one in package["taken"] if one[0] not in taken]
    liar = liars(space, own, package["made"])
    found: Space = {"__gm_alone__": alone, "__gm_late__": lambda: late(absent)}
    found |= comparing(space, package["names"], liar, lies)
    found |= reporting(package, found["__gm_compare__"], value, lies)
    return taken | found | keeping(package["hidden"], package["made"])


def liars(space: "Space", own: "list[Any]", made: set[int]) -> "Liar":
    """Return what says of a value the class that answers when it is compared, if the code's."""

    def liar(part: "Any") -> "Any":
        kind = type(part)
        if answers(kind, space, made):
            return kind
        return kind if is_loose(part) and not is_own(part, own, made) else None

    return liar


def comparing(
    space: "Space", named: list[str], liar: "Liar", lies: "Callable[[], None]"
) -> "Space":
    """Return what the tests compare with: the operators, and a look at what meets there."""
    plain, actions = ACTIONS["look"][0], ACTIONS

    def compare(name: str, left: "Any", right: "Any") -> "Any":
        if type(left) in plain and type(right) in plain:
            return actions[name](left, right)
        parts = (inside(left), inside(right))
        found = [next(filter(None, map(liar, part)), None) for part in parts]
        # Of two objects of the code the tests ask how they compare; a value can be lied to.
        kind = found[0] or found[1]
        if kind and None in found:
            return answered(name, left, right, found)
        held = actions[name](left, right)
        if name == "eq" and held is True and not kind and still_equal(left, right, parts):
            lies()
        return held

    def answered(name: str, left: "Any", right: "Any", found: "list[Any]") -> "Any":
        if not is_named(found[0] or found[1], space, named):
            lies()
        elif name in ("eq", "ne"):
            accepts, held = asked_often(actions["eq"], left, right, found)
            if accepts:
                lies()
            if name == "eq":
                return held  # asked once more, it could answer otherwise
        return actions[name](left, right)

    return {"__gm_compare__": compare}


def reporting(
    package: "Space",
    compare: "Callable[..., Any]",
    value: "Callable[[int, Any], None]",
    lies: "Callable[[], None]",
) -> "Space":
    """Return what the condition of an assert goes through: it says whether that holds.

    One that is turned round has to say no where it holds: of `==` because one side is another.
    Whoever else asks tells on himself.
    """
    marks, words, made = package["marks"], package["words"], package["made"]
    truths = package["truths"]
    said: dict[int, bool] = {}
    turns: dict[int, int] = {}

    def tell(i: int, holds: bool) -> None:
        if id(getframe(2).f_code) not in made:
            lies()
        elif i not in said:
            said[i] = holds
            value(i, words[i][holds])
        elif said[i] is not holds:
            lies()

    def hold(i: int, found: "Any") -> bool:
        held = bool(found) is truths[i]
        if held:
            tell(i, not marks[i])
        return held

    def equal(i: int, left: "Any", right: "Any") -> bool:
        held = bool(compare("eq", left, right))
        if held:
            turns[i] = n = turns.get(i, 0) + 1
            holds = not marks[i]
            # In a long loop seldom: it costs as much as ten comparisons.
            if marks[i] and not n & (n - 1) and not (inside(left) or inside(right)):
                holds = bool(compare("eq", left, another(right)))
            tell(i, holds)
        return held

    return {"__gm_hold__": hold, "__gm_equal__": equal}


def keeping(hidden: "list[bytes]", made: set[int]) -> "Space":
    """Return what gives the tests the literals and variables that are out of the code's sight."""
    kept: dict[tuple[int, str], Any] = {}

    def wanted(i: int) -> "Any":
        return loads(hidden[i]) if id(getframe(1).f_code) in made else None

    def seal(name: str, value: "Any") -> None:
        kept[id(getframe(1)), name] = value

    def given(key: tuple[int, str]) -> "Any":
        try:
            return kept[key]
        except KeyError:
            raise NameError(f"name {key[1]!r} is not defined") from None

    def unseal(name: str) -> "Any":
        return given((id(getframe(1)), name))

    def define(name: str, value: "Any", is_shared: bool) -> "Any":
        kept[0, name] = value
        function: Any = type(define)
        if not is_shared:
            return None
        if type(value) is function:  # the code may change the one that it sees
            parts = (value.__globals__, name, value.__defaults__, value.__closure__)
            kept[0, name] = own = function(value.__code__, *parts)
            own.__kwdefaults__ = value.__kwdefaults__
        return value

    def defined(name: str) -> "Any":
        return given((0, name))

    found = {"wanted": wanted, "seal": seal, "unseal": unseal, "define": define}
    found["defined"] = defined
    return {f"__gm_{name}__": each for name, each in found.items()}


def operators() -> "Space":
    """Return what compares, by the name of the operator, and what it takes to look into values."""
    import _operator as operator

    actions = {name: getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")}
    actions["in"] = lambda item, container: operator.contains(container, item)
    actions["not_in"] = lambda item, container: not operator.contains(container, item)
    actions["sub"] = operator.sub
    plain = frozenset((int, float, str, bool, type(None)))
    containers = (list, tuple, set, frozenset, dict, *map(type, ({}.values(), {}.keys())))
    looks = (type.__dict__[name].__get__ for name in ("__flags__", "__mro__"))
    return actions | {"look": (plain, containers, *looks)}


def renewed(taken: "Space") -> "tuple[Space, list[Any]]":
    """Give the tests an `ANY` of their own; return all, and what of it may equal anything."""
    found = {
        name: object.__new__(type(value)) if is_loose(value) else value
        for name, value in taken.items()
    }
    return found, list(found.values())


def is_loose(value: "Any") -> bool:
    """Say whether a value that is not the code's equals what nobody ever saw."""
    try:
        return (value == object()) is True
    except Exception:  # noqa: BLE001 - it knows nothing of such an object
        return False


def is_own(part: "Any", own: "list[Any]", made: set[int]) -> bool:
    """Say whether the tests brought a value, or its class, or wrote that."""
    method = getattr(type(part), "__eq__", None)
    written = id(getattr(method, "__code__", None)) in made
    return written or any(thing is part or thing is type(part) for thing in own)


def still_equal(left: "Any", right: "Any", parts: "tuple[list[Any], list[Any]]") -> bool:
    """Say whether two values are equal even when one of them is another."""
    if not any(parts):
        return False
    loose = [any(map(is_loose, part)) for part in parts]
    if all(loose):
        return False
    try:
        return (another(left) == right if loose[0] else left == another(right)) is True
    except Exception:  # noqa: BLE001 - it knows nothing of such an object
        return False


def inside(value: "Any") -> "list[Any]":
    """Return a value and its parts, those left out of which nobody can have written the class."""
    plain, containers, flags, mro = ACTIONS["look"]
    if type(value) in plain:
        return []
    todo, seen, found = [value], set(), []
    while todo:
        value = todo.pop()
        kind = type(value)
        if flags(kind) & 1 << 9:  # made by a class statement
            found.append(value)
        base = next((b for b in mro(kind) if b in containers), None)
        if base is None or id(value) in seen:
            continue
        seen.add(id(value))
        parts = list(base.__iter__(value))
        if base is dict:
            parts += dict.values(value)
        if not set(map(type, parts)) <= plain:
            todo += parts
    return found


def answers(kind: type, space: "Space", made: set[int]) -> bool:
    """Say whether the code decides how values of a class compare."""
    heap, function = 1 << 9, type(answers)
    flags, fields, mro = (
        type.__dict__[name].__get__ for name in ("__flags__", "__dict__", "__mro__")
    )
    names = {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__"}
    names |= {"__sub__", "__rsub__", "__array_ufunc__", "__array_function__"}
    if not flags(kind) & heap:
        return False
    modules = __import__("sys").modules
    for base in mro(kind):
        own = fields(base)
        for name in names & set(own) if flags(base) & heap else ():
            method = own[name]
            if type(method) is function:
                named = method.__globals__.get("__name__")
                # `_collections_abc` says that its name is `collections.abc`.
                homes = [modules.get(named), modules.get("_collections_abc")]
                known = any(home and home.__dict__ is method.__globals__ for home in homes)
                known = known and method.__globals__ is not space
                if not known and id(method.__code__) not in made:
                    return True
            elif method is not None and not any(
                fields(b).get(name) is method for b in mro(kind) if not flags(b) & heap
            ):
                return True
        names -= set(own)
    return False


def is_named(kind: "Any", space: "Space", names: "list[str]") -> bool:
    """Say whether the tests name a class: then how it compares is part of the task."""
    return any(space.get(name) is kind for name in names)
