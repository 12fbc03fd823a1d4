"""Commits of a repository made here, of this one, and of folders that are none."""

import os
import subprocess
from pathlib import Path

import pytest

from gristmill.errors import InputError
from gristmill.formats.git_commits import edits_of
from gristmill.formats.readers import SeedSpec, read

ROOT = Path(__file__).parents[2]
BEFORE = "def f(x):\n    return x\n"
AFTER = "def f(x):\n    return x + 1\n"


def git(folder: Path, *arguments: str) -> None:
    people = [(who, what) for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
    names = {f"GIT_{who}_{what}": "a@b.c" for who, what in people}
    subprocess.run(
        ["git", "-C", str(folder), *arguments],
        check=True,
        capture_output=True,
        env={**os.environ, **names},
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "some where"
    folder.mkdir()
    git(folder, "init", "-q")
    return folder


def commit(folder: Path, subject: str, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--no-verify", "-m", subject)


def test_an_edit_is_what_a_commit_changed_with_its_subject(repository) -> None:
    commit(repository, "Add a first file", a=BEFORE)
    commit(repository, "Return one more from f", a=AFTER)
    commit(repository, "Change no definition here", a=AFTER + "X = 1\n")
    commit(repository, "Two words", a=BEFORE)
    commit(repository, "Add four more files", b=BEFORE, c=BEFORE, d=BEFORE, e=BEFORE)
    commit(repository, "Touch too many of them", b=AFTER, c=AFTER, d=AFTER, e=AFTER)
    commit(repository, "Make it far too long", b="def f(x):\n" + "    x += 1\n" * 500)
    (part,), digest, notes = edits_of([str(repository)])
    (row,) = part.rows
    assert (row["instruction"], row["lang"]) == ("Return one more from f", "python")
    assert (row["input"], row["output"]) == (BEFORE.rstrip(), AFTER.rstrip())
    assert row["source"].startswith("some where@")
    assert row["source"].endswith(":a.py")
    left_out = "many_files 1, no_definition 1, subject 1, too_long 1"
    assert notes == [f"1 of 5 edits taken; left out: {left_out}"]
    assert edits_of([str(repository)])[1] == digest
    commit(repository, "Return two more from f", a=AFTER)
    assert edits_of([str(repository)])[1] != digest


def test_reading_a_repository_runs_nothing_of_it(repository) -> None:
    mark = repository / "ran"
    trap = repository / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch '{mark}'\n")
    trap.chmod(0o755)
    (repository / ".gitattributes").write_text("*.py diff=trap filter=trap\n")
    commit(repository, "Add a first file", a=BEFORE)
    commit(repository, "Return one more from f", a=AFTER)
    for name in ("core.fsmonitor", "core.pager", "diff.external", "diff.trap.textconv",
                 "diff.trap.command", "filter.trap.smudge", "core.sshCommand"):  # fmt: skip
        git(repository, "config", name, str(trap))
    (part,), _, _ = edits_of([str(repository)])
    assert len(part.rows) == 1
    assert not mark.exists()


def test_a_folder_that_is_no_repository_is_an_error_that_says_so(tmp_path) -> None:
    for path in (str(tmp_path), str(tmp_path / "nowhere"), "--version"):
        with pytest.raises(InputError, match="is no git repository to read"):
            edits_of([path])


@pytest.mark.slow
def test_the_commits_of_this_repository_are_read() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not in a git repository")
    seeds = read(SeedSpec(use="git_commits", path=str(ROOT), limit=20))
    assert len(seeds.rows) == 20
    assert all(row["instruction"] and row["input"] != row["output"] for row in seeds.rows)
