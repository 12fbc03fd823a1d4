"""What a program finds installed: an interpreter with its flags, modules, folders to read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from gristmill.engines.sandbox.languages import LANGUAGES, Language, version
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
    modules: frozenset[str] = frozenset()
    """Modules that it has besides the standard library: an import of another one is a
    `missing_dependency`, of a part that one of these does not have an `error`."""
    missing: tuple[str, ...] = ()
    """What it should have and what is not installed here: it then runs nothing."""
    fix: str = ""
    """How to get what is missing."""
    language: Language | None = None
    """Another language than Python: then there are no packages."""

    @property
    def identity(self) -> str:
        """Name the profile with all that a program finds in it."""
        found = [*self.packages, *(f"no {name}" for name in self.missing)]
        return f"{self.name}({', '.join(found)})" if found else self.name

    @property
    def address_mb(self) -> int:
        """Return the address space that its interpreter may reserve at least, in MiB."""
        return self.language.address_mb if self.language else 0

    @property
    def builds(self) -> bool:
        """Say whether its programs are compiled before they run."""
        return bool(self.language and self.language.run)

    def script(self, code: str, digits: str = "") -> str:
        """Return the Python that runs inside: the code itself, or what hands over to its tool."""
        return self.language.script(code, digits) if self.language else code


BARE = Profile(
    "bare",
    preload=(
        "collections", "copy", "functools", "heapq", "itertools", "math", "operator", "random",
        "re", "string", "typing",
    ),
)  # fmt: skip
"""The standard library alone. What most generated programs import is there already."""
NUMPY = {"numpy": "numpy"}
MODULES = {
    "bare": {},
    "numpy": NUMPY,
    "solver": NUMPY | {"scipy": "scipy"},
    "sympy": {
        "sympy": "sympy", "mpmath": "mpmath", "math_verify": "math-verify",
        "latex2sympy2_extended": "latex2sympy2_extended", "antlr4": "antlr4-python3-runtime",
    },
    "mypy": {
        "mypy": "mypy", "mypy_extensions": "mypy_extensions", "pathspec": "pathspec",
        "typing_extensions": "typing_extensions", "librt": "librt",
        "ast_serialize": "ast-serialize",
    },
}  # fmt: skip
"""Modules of each profile besides the standard library, and their packages; all that they import
must be named. `solver` has linear and integer programs, roots and minima by SciPy; `mypy` checks
types."""
PRELOAD = {
    "numpy": ("numpy",),
    "solver": ("numpy", "scipy.optimize"),
    "sympy": ("sympy", "math_verify"),
    "mypy": ("mypy.main",),
}
INSIDE = "/packages"
NAMES = (*MODULES, *LANGUAGES)


@cache
def find_profile(name: str) -> Profile:
    """Return a profile of ours with what this machine has of it; read-only inside.

    Raises InputError when there is no such profile.
    """
    if name == BARE.name:
        return BARE
    if name in LANGUAGES:
        return _of_language(name, LANGUAGES[name])
    if name not in MODULES:
        raise unknown(name, NAMES)
    binds: list[tuple[str, str]] = []
    packages, missing = [], []
    for module, package in MODULES[name].items():
        try:
            found = distribution(package)
            binds += _parts(module, found)
            packages.append(f"{package} {found.version}")
        except ModuleNotFoundError:
            missing.append(module)
    return Profile(
        name,
        preload=() if missing else PRELOAD.get(name, ()),
        binds=tuple((path, f"{INSIDE}/{end}") for path, end in binds),
        paths=(INSIDE,),
        packages=tuple(sorted(packages)),
        modules=frozenset(MODULES[name]),
        missing=tuple(missing),
        fix=f"pip install {' '.join(MODULES[name].values())}",
    )


def unknown(name: str, names: Iterable[str]) -> InputError:
    """Return the error for a profile that does not exist."""
    near = get_close_matches(name, names) or sorted(names)
    return InputError(f"no profile {name!r:.80} for programs; did you mean {near}?")


def _of_language(name: str, language: Language) -> Profile:
    found = version(name)
    return Profile(
        name,
        packages=(found,) if found else (),
        missing=() if found else (language.tool,),
        fix=language.fix,
        language=language,
    )


def _parts(module: str, package: Distribution) -> list[tuple[str, str]]:
    """Return a module of a package, and what lies beside it: (path, name).

    That is the libraries and compiled modules of its wheel, and the folder that says which version
    it is: some packages ask for that of others. Raises ModuleNotFoundError without the module.
    """
    tops = {file.parts[0] for file in package.files or ()}
    own = {top for top in tops if top.partition(".")[0] == module}
    beside = {top for top in tops if top.endswith((".so", ".dist-info"))}
    paths = [(Path(str(package.locate_file(top))).resolve(), top) for top in sorted(own | beside)]
    found = [(str(path), top) for path, top in paths if path.exists()]
    if not any(top in own for _, top in found):
        raise ModuleNotFoundError(module)
    return found


def _is_for_python(name: str) -> str:
    if name in LANGUAGES:
        raise ValueError(
            f"Python's tests and calls cannot judge {name}; only verifiers.stdio runs {name}"
        )
    return name


PythonProfile = Annotated[str, AfterValidator(_is_for_python)]
"""The name of a profile whose programs are Python, as a parameter of a stage."""
