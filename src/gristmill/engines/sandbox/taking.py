"""Inside the sandbox: what tests use of modules, taken beside the program before the code runs."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Wanted = list[tuple[str, str, str]]


def take(wanted: "Wanted") -> "dict[str, Any]":
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


def public(module: str) -> "list[str] | None":
    """Return the names that `import *` takes of a module, None where it is not there."""
    try:
        found = __import__(module, None, None, ["*"])
    except ImportError:
        return None
    names = getattr(found, "__all__", None)
    return [name for name in vars(found) if name[0] != "_"] if names is None else list(names)


def late(absent: "Wanted") -> None:
    """Refuse tests that use what was not there before and is now: only the code can have made it.

    A stand-in for a missing package would let it answer whatever the tests ask.
    """
    for one in absent:
        if take([one]):
            _, module, path = one
            said = f"the tests use {path} of {module}, which was not there before the code ran"
            raise ModuleNotFoundError(said, name=module)
