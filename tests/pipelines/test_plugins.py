import sys
from pathlib import Path

import pytest

from gristmill.errors import RecipeError
from gristmill.pipelines import Recipe
from gristmill.pipelines.plan import check
from gristmill.storage.rows import TEXT

STAGE = '''
from typing import TypedDict
from gristmill import Drop, RowStage

class Row(TypedDict):
    instruction: str

class Short(RowStage):
    """Keep what is short."""
    codes = frozenset({"long"})
    def __call__(self, row: Row) -> Drop | None:
        return Drop("long")
'''
TOUCH = "from pathlib import Path\nPath('ran').touch()\n"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def plan(use: str, *, allow_plugins: bool = False):
    recipe = Recipe(name="x", stages=[{"use": use}])
    return check(recipe, {"instruction": TEXT}, {}, allow_plugins=allow_plugins)


def test_a_module_outside_the_package_is_imported_only_when_allowed(place) -> None:
    write(place / "mine_a" / "filters" / "short.py", STAGE + TOUCH)
    with pytest.raises(RecipeError, match=r"may not import.*--allow-plugins"):
        plan("mine_a.filters.short")
    assert not (place / "ran").exists()
    use = plan("mine_a.filters.short", allow_plugins=True).uses[0]
    assert (use.label, use.folder) == ("short", "filters")
    assert (place / "ran").exists()


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ("os.path", "must name a folder before its module"),
        ("none_such.filters.short", "cannot be imported: .*No module named 'none_such'"),
        ("filters.none_such", r"no 'filters.none_such'; did you mean one of \['filters"),
        ("..filters.length", "`use` must be like"),
    ],
)
def test_an_allowed_plugin_that_is_not_there_says_why(use, message, place) -> None:
    with pytest.raises(RecipeError, match=message):
        plan(use, allow_plugins=True)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("syntax", "\ndef (:\n", r"SyntaxError: .*\(syntax\.py, line 2\)$"),
        ("value", "\n\nint('a')\n", r"filters/value\.py, line 3: ValueError: invalid literal"),
        ("name", "oops\n", r"filters/name\.py, line 1: NameError: name 'oops' is not defined"),
        ("inner", "import no_such\n", r"inner\.py, line 1: ModuleNotFoundError: No module named"),
    ],
)
def test_a_module_that_ends_its_own_import_is_named_with_the_line(
    name, text, message, place
) -> None:
    write(place / "mine_c" / "filters" / f"{name}.py", text)
    with pytest.raises(RecipeError, match=message):
        plan(f"mine_c.filters.{name}", allow_plugins=True)


def test_an_installed_entry_point_needs_no_permission(place) -> None:
    write(place / "their_b" / "anything.py", STAGE)
    write(place / "their_b-1.0.dist-info" / "METADATA", "Name: their-b\nVersion: 1.0\n")
    points = "[gristmill.stages]\nfilters.short_b = their_b.anything\n"
    write(place / "their_b-1.0.dist-info" / "entry_points.txt", points)
    sys.path.append(str(place))
    use = plan("filters.short_b").uses[0]
    assert (use.label, use.folder) == ("short_b", "filters")
