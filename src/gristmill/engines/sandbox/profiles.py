"""What a program finds installed: an interpreter with its flags, modules, folders to read."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import files, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from gristmill.errors import InputError

# Not -I: it would ignore PYTHONHASHSEED, and sets would then print in another order every run.
FLAGS = ("-s", "-P", "-S", "-B")


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of things that every run of it finds."""

    name: str
    flags: tuple[str, ...] = FLAGS
    """Flags of the interpreter."""
    preload: tuple[str, ...] = ()
    """Modules that a warm interpreter has imported before its first run; no verdict depends on
    them, only the time of a run does: each costs every fork its memory."""
    binds: tuple[tuple[str, str], ...] = ()
    """More of the machine that programs may read: (path here, path inside)."""
    paths: tuple[str, ...] = ()
    """Folders inside to import packages from."""
    packages: tuple[str, ...] = ()
    """Name and version of every package, as the verdicts' keys have it."""
    missing: tuple[str, ...] = ()
    """Modules that it should have and that are not installed here: it then runs nothing."""

    @property
    def identity(self) -> str:
        """Name the profile with all that a program finds in it."""
        found = [*self.packages, *(f"no {name}" for name in self.missing)]
        return f"{self.name}({', '.join(found)})" if found else self.name


BARE = Profile(
    "bare",
    preload=(
        "collections", "copy", "functools", "heapq", "itertools", "math", "operator", "random",
        "re", "string", "typing",
    ),
)  # fmt: skip
"""The standard library alone. What most generated programs import is there already."""
MODULES = {
    "bare": (),
    "sympy": ("sympy", "mpmath", "math_verify", "latex2sympy2_extended", "antlr4"),
}
"""Modules of each profile besides the standard library; all they import must be named."""
PRELOAD = {"sympy": ("sympy", "math_verify")}
INSIDE = "/packages"


@cache
def find_profile(name: str) -> Profile:
    """Return a profile with the packages that the running environment has; read-only inside.

    Raises InputError when there is no such profile.
    """
    if name == BARE.name:
        return BARE
    if name not in MODULES:
        near = get_close_matches(name, MODULES) or sorted(MODULES)
        raise InputError(f"no profile {name!r:.80} for programs; did you mean {near}?")
    binds, missing = [], []
    for module in MODULES[name]:
        spec = find_spec(module)
        if spec and spec.submodule_search_locations:
            binds.append((str(Path(spec.submodule_search_locations[0]).resolve()), module))
        else:
            missing.append(module)
    names = sorted({packages_distributions().get(module, [""])[0] for _, module in binds} - {""})
    return Profile(
        name,
        preload=() if missing else PRELOAD.get(name, ()),
        binds=tuple((path, f"{INSIDE}/{end}") for path, end in (*binds, *map(_metadata, names))),
        paths=(INSIDE,),
        packages=tuple(f"{package} {version(package)}" for package in names),
        missing=tuple(missing),
    )


def _metadata(package: str) -> tuple[str, str]:
    """Return the folder that says which version it is: some packages ask for that of others."""
    for file in files(package) or ():
        if file.name == "METADATA":
            folder = Path(str(file.locate())).resolve().parent
            return str(folder), folder.name
    raise InputError(f"the package {package} has no METADATA file; install it again")
