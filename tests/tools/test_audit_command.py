"""The audit as a command: its words and its exit codes."""

from pathlib import Path

from audit import main

from gristmill import run


def test_a_finished_run_is_accounted_for_and_a_stopped_one_is_named(
    recipe, engine, seeds, tmp_path: Path, capsys
) -> None:
    path = run(recipe(), seeds(), {"generator": engine()}, workspace=tmp_path).path
    assert main([str(path)]) == 0
    assert capsys.readouterr().out == "every row is accounted for\n"
    (path / "ledger.json").unlink()
    assert main([str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path}: found an unfinished run (no ledger.json)")
    assert said.count("\n") == 1


def test_anything_else_is_no_run(tmp_path: Path, capsys) -> None:
    assert main([str(tmp_path / "none")]) == 2
    assert "found no run" in capsys.readouterr().err
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage: ")
