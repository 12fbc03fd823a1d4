"""Profiles that a recipe adds: what may be said, how packages come, and what programs find."""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from gristmill.engines.sandbox import Program, Sandbox
from gristmill.engines.sandbox.packages import Packages, look_up
from gristmill.errors import InputError, RecipeError, RequirementError
from gristmill.pipelines.recipe import Recipe
from gristmill.pipelines.workspace import prepare

MINE = {"mine": {"requirements": ["oddly==1.5"], "preload": ["oddly"]}}
USES = "import oddly\ndef f():\n    return oddly.TEXT"


def wheel(folder: Path, name: str, version: str, needs: str = "", **files: str) -> None:
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    about += f"Requires-Dist: {needs}\n" if needs else ""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as made:
        for module, text in files.items():
            made.writestr(f"{module}.py", text)
        made.writestr(f"{info}/METADATA", about)
        made.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        made.writestr(f"{info}/RECORD", "")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let packages come from a folder of the test, with no network, into a cache of its own."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for installer in ("UV", "PIP"):
        monkeypatch.setenv(f"{installer}_FIND_LINKS", str(folder))
        monkeypatch.setenv(f"{installer}_NO_INDEX", "1")
    monkeypatch.setenv("UV_OFFLINE", "1")
    wheel(folder, "oddly", "1.5", oddly="TEXT = 'odd'")
    return folder


@pytest.fixture
def opened(sandbox: Sandbox) -> Iterator[Callable[..., Sandbox]]:
    """Return what makes a sandbox with profiles of its own, in the back end of the test."""
    made: list[Sandbox] = []

    def opens(**profiles: object) -> Sandbox:
        made.append(Sandbox(1, backend=sandbox.backend, profiles=profiles))
        return made[-1]

    yield opens
    for each in made:
        each.close()


def test_a_package_is_there_in_its_profile_alone(wheels: Path, opened) -> None:
    sandbox = opened(**MINE)
    found, bare, other = sandbox.run_all(
        [
            Program(USES, "assert f() == 'odd'", profile="mine"),
            Program(USES, "assert f() == 'odd'"),
            Program("import numpy", stdout="1", profile="mine"),
        ]
    )
    assert (found.status, found.verified_by) == ("pass", "values"), found
    assert found.profile.endswith("mine(oddly 1.5)"), found.profile
    assert (bare.status, bare.detail) == ("missing_dependency", "oddly")
    assert (other.status, other.detail) == ("missing_dependency", "numpy")


def test_nothing_can_be_written_there_and_it_is_installed_once(wheels: Path, opened) -> None:
    writes = "import os, oddly\nopen(os.path.dirname(oddly.__file__) + '/x', 'w')"
    sandbox = opened(**MINE)
    (verdict,) = sandbox.run_all([Program(writes, stdout="1", profile="mine")])
    assert verdict.status == "error"
    assert "Read-only file system" in verdict.detail
    folder = sandbox.profiles["mine"].folder
    assert {oct(path.stat().st_mode & 0o777) for path in folder.rglob("*.py")} == {"0o444"}
    assert oct(folder.stat().st_mode & 0o777) == "0o555"
    for file in wheels.iterdir():
        file.unlink()
    again = look_up("mine", sandbox.profiles)
    assert again.binds == ((str(folder), "/packages"),)
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "nothing is left over"


@pytest.mark.parametrize(
    "text",
    ["oddly", "oddly>=1", "-r x", "--index-url=x==1", "oddly==1 --pre", "./oddly==1", "a/b==1",
     "oddly @ file:///x", "git+https://x/y==1", "oddly==1;x", "oddly[all]==1", "oddly==1.*", "",
     "oddly==1\n-r x"],
)  # fmt: skip
def test_a_requirement_is_a_name_and_a_version_and_nothing_else(text: str) -> None:
    with pytest.raises(ValidationError, match="a requirement is NAME==VERSION"):
        Packages(requirements=(text,))


def test_names_that_mean_something_else_are_refused() -> None:
    for name in ("numpy", "cpp", "", "a b", "../x", "Mine"):
        with pytest.raises(ValidationError, match="the name of a profile is"):
            Sandbox(1, profiles={name: MINE["mine"]})
    with pytest.raises(ValidationError, match="preload names modules"):
        Packages(requirements=("oddly==1.5",), preload=("os; x",))


def test_what_cannot_be_installed_says_why_and_leaves_nothing(wheels: Path) -> None:
    made = {"mine": Packages(requirements=("oddly==9.9",))}
    with pytest.raises(RequirementError, match=r"profiles\.mine: cannot be .*wheel.*oddly"):
        look_up("mine", made)
    assert list(made["mine"].folder.parent.iterdir()) == []


def test_every_package_is_named_by_the_recipe(wheels: Path) -> None:
    wheel(wheels, "needy", "2.0", needs="oddly", needy="import oddly")
    with pytest.raises(RecipeError, match=r"mine\.requirements: they need more; add oddly==1\.5$"):
        look_up("mine", {"mine": Packages(requirements=("needy==2.0",))})
    whole = Packages(requirements=("oddly==1.5", "needy==2.0"))
    assert look_up("mine", {"mine": whole}).packages == ("needy 2.0", "oddly 1.5")


def test_a_package_may_not_hide_a_module_of_python_s_own(wheels: Path) -> None:
    wheel(wheels, "sly", "1.0", json="loads = None")
    with pytest.raises(RecipeError, match=r"\['json'\] would hide"):
        look_up("mine", {"mine": Packages(requirements=("sly==1.0",))})


def test_a_module_to_preload_must_be_there(wheels: Path) -> None:
    made = {"mine": Packages(requirements=("oddly==1.5",), preload=("evenly",))}
    with pytest.raises(RecipeError, match=r"preload: evenly is in none .* found \['oddly'\]"):
        look_up("mine", made)


def test_versions_are_part_of_the_keys_and_known_before_anything_is_installed() -> None:
    plain = Sandbox(1).identity
    sandboxes = [
        Sandbox(1, profiles={"mine": {"requirements": [text, "B_c==1"]}})
        for text in ("oddly==1.5", "oddly==1.6")
    ]
    assert sandboxes[0].identity == f"{plain}:mine(b-c 1, oddly 1.5)"
    keys = {Program("x", profile="mine").key(each.identity) for each in sandboxes}
    assert len(keys) == 2


def recipe(**changes: object) -> Recipe:
    stage = {"use": "verifiers.stdio", **changes}
    engines = {"sandbox": {"use": "sandbox", "profiles": MINE}}
    return Recipe.model_validate({"name": "r", "engines": engines, "stages": [stage]})


ROWS = [{"instruction": "i", "output": "o", "inputs": ["1"], "outputs": ["2"]}]


def test_the_check_of_a_recipe_refuses_a_profile_that_does_not_exist() -> None:
    with pytest.raises(RecipeError, match=r"verifiers.stdio\): no profile 'mime' .* \['mine'\]"):
        prepare(recipe(profile="mime"), ROWS)
    with pytest.raises(RecipeError, match="Python's tests and calls cannot judge cpp"):
        prepare(recipe(use="verifiers.unit_tests", tests="outputs", profile="cpp"), ROWS)
    with pytest.raises(InputError, match=r"no profile 'numpi' .* did you mean \['numpy'\]"):
        Sandbox(1).require("numpi")


def test_the_check_of_a_recipe_installs_its_profiles(wheels: Path) -> None:
    sandbox = prepare(recipe(profile="mine"), ROWS).engines["sandbox"]
    assert isinstance(sandbox, Sandbox)
    assert sandbox.profiles["mine"].folder.is_dir()
