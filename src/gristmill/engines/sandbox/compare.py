"""Inside the sandbox, beside the program: what tests that count their asserts call.

Only the code of these functions goes there. The launcher gives them built-in functions of their
own, taken before the program ran. They answer the tests alone: whoever else asks is told the truth
in every run.
"""

from sys import _getframe as getframe

from gristmill.engines.sandbox.canary import another, pick

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    Space = dict[str, Any]

ACTIONS: "Space" = {}
"""What `operators` gives, filled where these functions are made."""


def shift(value: "Any") -> "Any":
    """Stand here for what a canary run changes: `canary.chosen` takes this place."""
    return value


def begin(space: "Space", package: "Space", emit: "Callable[..., None]") -> "Space":
    """Return what the tests find by name; to be called before the code runs."""
    made, named = code_ids(package["tests"]), package["names"]
    plain, actions = {int, float, str, bool, type(None)}, ACTIONS

    def compare(name: str, left: "Any", right: "Any") -> "Any":
        if type(left) in plain and type(right) in plain:
            return actions[name](left, right)
        found = (liar(left, space, made), liar(right, space, made))
        # Of two objects of the code the tests ask how they compare; a value can be lied to.
        kind = found[0] or found[1]
        if kind and None in found:
            if not is_named(kind, space, named):
                emit('"lies"')
            elif name in ("eq", "ne"):
                accepts, held = asked_often(actions["eq"], left, right, found)
                if accepts:
                    emit('"lies"')
                if name == "eq":
                    return held  # asked once more, it could answer otherwise
        return actions[name](left, right)

    def alone(value: "Any") -> "Any":
        if type(value) not in plain and liar(value, space, made):
            emit('"lies"')
        return value

    found = take(package["taken"]) | changes(compare)
    return found | {"__gm_compare__": compare, "__gm_alone__": alone}


def operators() -> "Space":
    """Return what compares, by the name of the operator."""
    import _operator as operator

    actions = {name: getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")}
    actions["in"] = lambda item, container: operator.contains(container, item)
    actions["not_in"] = lambda item, container: not operator.contains(container, item)
    actions["sub"] = operator.sub
    return actions


def changes(compare: "Callable[..., Any]") -> "Space":
    """Return what the assert goes through that a canary run makes false."""

    def near(value: "Any") -> "Any":
        return shift(value) if asked() else value

    def equal(left: "Any", right: "Any") -> "Any":
        # With a changed side only a lying `__eq__` answers yes.
        if not asked():
            return left == right
        held = compare("eq", left, right)
        if shift(True):
            return held
        return (left == shift(right)) or (shift(left) == right)

    def hold(value: "Any") -> "Any":
        return value if not asked() or shift(True) else not value

    return {"__gm_near__": near, "__gm_equal__": equal, "__gm_hold__": hold}


def asked() -> bool:
    """Say whether the caller's caller is a line of the tests."""
    return bool(getframe(2).f_code.co_filename == "tests.py")


def take(wanted: "list[tuple[str, str, str]]") -> "Space":
    """Return what the tests use of modules, as it is before the code can change it."""
    found = {}
    for name, module, path in wanted:
        try:
            value, at = __import__(module, None, None, ["*"]), module
            for part in path.split("."):
                if not hasattr(value, part):
                    __import__(f"{at}.{part}")
                value, at = getattr(value, part), f"{at}.{part}"
        except (ImportError, AttributeError):
            continue  # the tests' own import says what is missing
        found[name] = value
    return found


def code_ids(code: "CodeType") -> set[int]:
    """Return which code objects are the tests'."""
    inner = [part for part in code.co_consts if isinstance(part, type(code))]
    return {id(code)}.union(*map(code_ids, inner))


def liar(value: "Any", space: "Space", made: set[int]) -> "Any":
    """Return the class of the code that answers for a value or for a part of it, else None."""
    mro = type.__dict__["__mro__"].__get__
    containers = (list, tuple, set, frozenset, dict, *map(type, ({}.values(), {}.keys())))
    todo, seen = [value], set()
    while todo:
        value = todo.pop()
        kind = type(value)
        if answers(kind, space, made):
            return kind
        base = next((b for b in mro(kind) if b in containers), None)
        if base is None or id(value) in seen:
            continue
        seen.add(id(value))
        parts = list(base.__iter__(value))
        if base is dict:
            parts += dict.values(value)
        kinds = set(map(type, parts))
        if not kinds <= {int, float, str, bool, type(None)}:
            todo += parts
    return None


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
