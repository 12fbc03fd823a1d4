"""Seeds from a git repository: edits of Python code, each with the subject of its commit.

Source: Li et al., "InstructCoder: Instruction Tuning Large Language Models for Code Editing",
arXiv:2310.20329, section 3.1.
Differs from the paper: nobody checks the commits by hand. An edit is what one commit changed in the
functions and classes of one file; merges, and commits that touch more files, are left out.

Only plumbing commands are run, which call no hook, filter, pager or remote of the repository.
"""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from gristmill.errors import InputError
from gristmill.formats.parts import Part
from gristmill.text.changed_code import changed

MAX_FILES = 3
"""Python files of a commit that is still one idea."""
MAX_CHARS = 4000
"""Of an edit, before or after."""
MAX_WORDS, MIN_WORDS = 30, 3
"""Of a subject that can be an instruction."""
SAFE = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
GROUP = 200
"""Commits whose files are read at once."""


class Commit(NamedTuple):
    """Its subject, and the Python files that it changed: name, content before, content after."""

    hash: str
    subject: str
    files: list[tuple[str, str, str]]


def edits_of(paths: Sequence[str]) -> tuple[list[Part], str, list[str]]:
    """Return the edits of each repository, newest first, a digest of their heads, and notes."""
    parts, notes, hashed = [], [], blake2b(digest_size=16)
    for path in paths:
        head = _git(path, "rev-parse", "--verify", "HEAD^{commit}").decode().strip()
        hashed.update(head.encode())
        parts.append(part := Part(Path(path).resolve().name))
        ends: Counter[str] = Counter()
        commits = _commits(path, head)
        for start in range(0, len(commits), GROUP):
            for row, why in _edits(path, commits[start : start + GROUP]):
                ends[why] += 1
                if row:
                    part.add(ends.total(), row)
        left_out = ", ".join(f"{why} {n}" for why, n in sorted(ends.items()) if why != "kept")
        notes.append(f"{ends['kept']} of {ends.total()} edits taken; left out: {left_out or 0}")
    return parts, hashed.hexdigest(), notes


def _commits(path: str, head: str) -> list[Commit]:
    """Return every commit that is no merge, newest first."""
    said = _git(path, "rev-list", "--no-merges", head)
    raw = _git(
        path, "diff-tree", "--stdin", "-r", "-z", "--root", "--no-renames", "--no-ext-diff",
        "--no-textconv", "--format=%x00%H%x00%s", stdin=said,
    ).decode("utf-8", "replace")  # fmt: skip
    found: list[Commit] = []
    tokens = iter(raw.replace("\0\n:", "\0:").split("\0"))
    for token in tokens:
        if token.startswith(":"):
            _, _, old, new, status = token.split(" ")
            name = next(tokens)
            if name.endswith(".py") and status == "M":
                found[-1].files.append((name, old, new))
        elif len(token) in (40, 64) and not token.strip("0123456789abcdef"):
            found.append(Commit(token, next(tokens), []))
    return found


def _edits(path: str, commits: Sequence[Commit]) -> Iterator[tuple[dict[str, str] | None, str]]:
    """Yield a row per changed Python file, or why there is none."""
    small = [commit for commit in commits if len(commit.files) <= MAX_FILES]
    yield from ((None, "many_files") for _ in range(len(commits) - len(small)))
    blobs = _blobs(path, [b for commit in small for _, *pair in commit.files for b in pair])
    for commit in small:
        for name, old, new in commit.files:
            edit = changed(blobs[old], blobs[new])
            if not MIN_WORDS <= len(commit.subject.split()) <= MAX_WORDS:
                yield None, "subject"
            elif edit is None:
                yield None, "no_definition"
            elif max(map(len, edit)) > MAX_CHARS:
                yield None, "too_long"
            else:
                source = f"{Path(path).resolve().name}@{commit.hash[:12]}:{name}"
                row = {"instruction": commit.subject, "input": edit[0], "output": edit[1]}
                yield {**row, "source": source, "lang": "python"}, "kept"


def _blobs(path: str, names: Sequence[str]) -> dict[str, str]:
    """Return the texts of files by the names of their contents."""
    said = _git(path, "cat-file", "--batch", stdin="\n".join(names).encode() + b"\n" * bool(names))
    found, at = dict.fromkeys(names, ""), 0
    while at < len(said):
        end = said.index(b"\n", at)
        name, kind, *size = said[at:end].decode().split(" ")
        at = end + 1
        if kind == "blob":
            found[name] = said[at : at + int(size[0])].decode("utf-8", "replace")
            at += int(size[0]) + 1
    return found


def _git(path: str, *arguments: str, stdin: bytes = b"") -> bytes:
    """Return what git says; InputError where it is no repository, or git is missing."""
    folder = str(Path(path).resolve())
    safe = ["-c", "core.fsmonitor=false", "-c", f"safe.directory={folder}", "--no-pager"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | SAFE
    try:
        done = subprocess.run(
            ["git", *safe, "-C", folder, *arguments],
            input=stdin,
            capture_output=True,
            check=True,
            env=environment,
        )
    except FileNotFoundError as error:
        raise InputError("seeds: git_commits needs git, which is not on the PATH") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace").strip()
        raise InputError(f"seeds.path: {path} is no git repository to read: {said}") from error
    return done.stdout
