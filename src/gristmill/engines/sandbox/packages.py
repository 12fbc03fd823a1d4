"""Profiles that a recipe adds: packages installed once, into a folder that nobody changes.

A requirement is a name and a version, for every package, those included that others need: so a
recipe names all that its verdicts depend on, before anything is installed and on every machine.
Only wheels are taken, because building a package runs its code outside the sandbox.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gristmill.engines.sandbox.profiles import INSIDE, NAMES, Profile, find_profile, unknown
from gristmill.errors import RecipeError, RequirementError
from gristmill.storage.ids import digest

PIN = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==([A-Za-z0-9][A-Za-z0-9.!+_-]*)")
NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
INSTALL_S = 600
MAX_WORDS = 500


def _pin(text: str) -> str:
    if not PIN.fullmatch(text):
        raise ValueError("a requirement is NAME==VERSION, such as networkx==3.4")
    return text


def _module(text: str) -> str:
    if not all(part.isidentifier() for part in text.split(".")):
        raise ValueError("preload names modules, such as networkx")
    return text


def _name(text: str) -> str:
    if not NAME.fullmatch(text) or text in NAMES:
        raise ValueError(
            "the name of a profile is small letters, digits, - and _, and none of "
            f"{', '.join(NAMES)}"
        )
    return text


class Packages(BaseModel):
    """What a recipe says about a profile of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requirements: tuple[Annotated[str, AfterValidator(_pin)], ...] = Field(min_length=1)
    """All packages with their versions, also those that others need."""
    preload: tuple[Annotated[str, AfterValidator(_module)], ...] = ()
    """Modules that a warm interpreter imports once; the others are imported by every run. They may
    start no thread."""

    @property
    def versions(self) -> dict[str, str]:
        """Return the version of each package."""
        pins = (text.partition("==") for text in self.requirements)
        return dict(sorted((_normal(name), version) for name, _, version in pins))

    @property
    def folder(self) -> Path:
        """Return where the packages are, for this version of Python and this machine."""
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        kind = [sys.implementation.cache_tag, platform.machine(), *platform.libc_ver()]
        name = digest(kind, self.versions)[:24]
        return Path(cache) / "gristmill" / "profiles" / name


Made = Mapping[Annotated[str, AfterValidator(_name)], Packages]
"""The profiles of a recipe by their names."""


def identity(made: Made) -> str:
    """Name every package of the recipe's own profiles; "" without any."""
    lines = (f"{name}({_listed(made[name])})" for name in sorted(made))
    return ", ".join(lines)


def look_up(name: str, made: Made) -> Profile:
    """Return a profile, ours or one of the recipe's.

    Raises:
        InputError: There is none of that name.
        RequirementError: Its packages are not there and cannot be installed.
    """
    if name not in made:
        if name not in NAMES:
            raise unknown(name, [*NAMES, *made])
        return find_profile(name)
    wanted = made[name]
    if not wanted.folder.is_dir():
        _install(name, wanted)
    modules = _modules(wanted.folder)
    for module in wanted.preload:
        top = module.partition(".")[0]
        if top not in modules | sys.stdlib_module_names:
            raise RecipeError(
                f"engines.sandbox.profiles.{name}.preload: {top} is in none of its packages; "
                f"found {sorted(modules)}"
            )
    return Profile(
        name,
        preload=wanted.preload,
        binds=((str(wanted.folder), INSIDE),),
        paths=(INSIDE,),
        packages=tuple(f"{package} {version}" for package, version in wanted.versions.items()),
        modules=modules,
    )


def _install(name: str, wanted: Packages) -> None:
    """Install into a folder beside, check it, and give it its name when it is whole."""
    where = f"engines.sandbox.profiles.{name}"
    wanted.folder.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".new-", dir=wanted.folder.parent))
    try:
        command = [*_installer(where), "--only-binary", ":all:", "--target", str(folder)]
        done = subprocess.run(
            [*command, "--", *wanted.requirements],
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
            check=False,
        )
        if done.returncode:
            raise RequirementError(
                f"{where}: cannot be installed; check names and versions, and that each has a "
                f"wheel for Python {platform.python_version()} on {platform.machine()}. It needs "
                f"the network once. It says: {' '.join(done.stderr.split())[-MAX_WORDS:]}"
            )
        _refuse_unnamed(where, wanted, folder)
        _freeze(folder)
        try:
            folder.rename(wanted.folder)
        except OSError:  # another process was first, with the same
            if not wanted.folder.is_dir():
                raise
    except subprocess.TimeoutExpired as error:
        raise RequirementError(f"{where}: not installed within {INSTALL_S} s") from error
    finally:
        _remove(folder)


def _installer(where: str) -> list[str]:
    """Return the command of uv, else of pip: either copies, so that no cache is made read-only."""
    if uv := shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"):
        return [uv, "pip", "install", "--python", sys.executable, "--link-mode", "copy"]
    command = [sys.executable, "-m", "pip", "install", "--no-input", "--no-compile"]
    if subprocess.run([*command[:3], "--version"], capture_output=True, check=False).returncode:
        raise RequirementError(f"{where}: needs uv or pip to install its packages: pip install uv")
    return command


def _refuse_unnamed(where: str, wanted: Packages, folder: Path) -> None:
    """Raise RecipeError when something came along that the recipe does not name."""
    found = {_normal(each.name): each.version for each in distributions(path=[str(folder)])}
    unnamed = [f"{name}=={found[name]}" for name in sorted(found.keys() - wanted.versions.keys())]
    if unnamed:
        raise RecipeError(f"{where}.requirements: they need more; add {', '.join(unnamed)}")
    if hidden := sorted(_modules(folder) & sys.stdlib_module_names):
        raise RecipeError(f"{where}.requirements: {hidden} would hide modules of Python's own")


def _modules(folder: Path) -> frozenset[str]:
    """Return what can be imported from a folder."""
    names = {path.name.partition(".")[0] for path in folder.iterdir()} - {"bin"}
    return frozenset(name for name in names if name.isidentifier())


def _freeze(folder: Path) -> None:
    """Let everybody read and nobody write: programs run as another user than we."""
    for root, _, names in os.walk(folder):
        for name in names:
            (Path(root) / name).chmod(0o444)
        Path(root).chmod(0o555)


def _remove(folder: Path) -> None:
    """Delete what was not needed, read-only or not; nothing when it has got its name."""
    for root, _, _ in os.walk(folder):
        Path(root).chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _listed(wanted: Packages) -> str:
    return ", ".join(f"{name} {version}" for name, version in wanted.versions.items())
