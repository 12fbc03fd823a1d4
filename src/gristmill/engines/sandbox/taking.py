"""Inside the sandbox, beside the program: what tests use of modules, taken before the code runs."""

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


def late(absent: "Wanted") -> None:
    """Refuse tests that use what was not there before and is now: only the code can have made it.

    A stand-in for a missing package would let it answer whatever the tests ask.
    """
    for one in absent:
        if take([one]):
            _, module, path = one
            said = f"the tests use {path} of {module}, which was not there before the code ran"
            raise ModuleNotFoundError(said, name=module)
