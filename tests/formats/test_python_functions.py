from pathlib import Path

import pytest

from gristmill.errors import InputError
from gristmill.formats.readers import SeedSpec, read

GOOD = 'def {name}(x):\n    """Return {name}."""\n    return x\n'


def test_the_standard_library_gives_seeds_in_the_same_order_every_time() -> None:
    seeds = read(SeedSpec(use="python_functions", path="stdlib"))
    assert 300 < len(seeds.rows) < 2000
    assert {row["license"] for row in seeds.rows} == {"PSF-2.0"}
    assert {row["lang"] for row in seeds.rows} == {"python"}
    assert all(row["source"].startswith("cpython-3.") for row in seeds.rows)
    assert "instruction" not in seeds.columns
    assert len({row["code"] for row in seeds.rows}) == len(seeds.rows)
    assert not any("/test/" in row["source"] for row in seeds.rows)
    names = {(row["module"], row["name"]) for row in seeds.rows}
    assert {("bisect", "bisect_right"), ("statistics", "median_low")} <= names
    assert seeds.malformed == []


def test_the_standard_library_is_parsed_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = read(SeedSpec(use="python_functions", path="stdlib"))
    (kept,) = (tmp_path / "gristmill").glob("python_functions-*.json")
    assert read(SeedSpec(use="python_functions", path="stdlib")) == first
    one = kept.read_text().replace("def bisect_right", "def bisect_wrong")
    kept.write_text(one)
    again = read(SeedSpec(use="python_functions", path="stdlib"))
    assert [r["name"] for r in again.rows] == [r["name"] for r in first.rows]
    assert again.rows != first.rows, "what was kept is what is read"


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    assert read(SeedSpec(use="python_functions", path="stdlib")).rows


def test_a_users_folder_and_file_work_the_same_way(tmp_path: Path) -> None:
    (tmp_path / "pkg" / "tests").mkdir(parents=True)
    (tmp_path / "pkg" / "__init__.py").write_text(GOOD.format(name="one"))
    (tmp_path / "pkg" / "b.py").write_text(GOOD.format(name="two") + GOOD.format(name="one"))
    (tmp_path / "pkg" / "tests" / "c.py").write_text(GOOD.format(name="three"))
    (tmp_path / "broken.py").write_text("x = 1\n\ndef broken(:\n")
    (tmp_path / "rows.jsonl").write_text("{}")
    seeds = read(SeedSpec(use="python_functions", path=str(tmp_path)))
    assert [(r["name"], r["module"], r["source"]) for r in seeds.rows] == [
        ("one", "pkg", "pkg/__init__.py"),
        ("two", "pkg.b", "pkg/b.py"),
    ]
    assert [(m.file, m.line) for m in seeds.malformed] == [("broken.py", 3)]
    assert any("2 of 3 functions taken; left out: duplicate 1" in note for note in seeds.notes)
    alone = read(SeedSpec(use="python_functions", path=str(tmp_path / "pkg" / "b.py")))
    assert [row["name"] for row in alone.rows] == ["two", "one"]


def test_a_file_of_rows_is_refused_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}")
    with pytest.raises(InputError, match=r"reads \.py files, found rows\.jsonl; .*`use: files`"):
        read(SeedSpec(use="python_functions", path=str(tmp_path / "rows.jsonl")))


def test_a_file_without_functions_says_what_was_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def f(x):\n    return x\n")
    with pytest.raises(InputError, match=r"no seeds in .*0 of 1 functions.*no_docstring 1"):
        read(SeedSpec(use="python_functions", path=str(tmp_path / "a.py")))
