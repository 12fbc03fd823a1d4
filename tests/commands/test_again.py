"""The commands that a command offers work as they are printed."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from gristmill.commands import again

BARE = ("--local", "--no-prefect")
SPACED = "my seeds.jsonl"


def offered(out: str, word: str) -> list[str]:
    """Return the words of a command that follows `next:` or the like."""
    (found,) = re.findall(rf"(?m)^{word}:? +(.*?)(?: \(it .*| goes on with it)?$", out)
    name, *words = shlex.split(found)
    assert name == "build-dataset"
    return words


def test_every_command_offers_the_next_one_with_the_same_arguments(call, place) -> None:
    (place / "seeds.jsonl").rename(place / SPACED)
    given = ("tiny.yaml", "--input", SPACED, "--set", "stages.-1.k=3", "--workspace", "w x")
    code, out, err = call("check", *given)
    assert code == 0, err
    assert offered(out, "then") == ["run", *given]
    assert offered(out, "next") == ["preview", *given]
    code, out, err = call("preview", *given, *BARE, "-n", "4")
    assert code == 0, err
    assert offered(out, "next") == ["run", *given, *BARE]
    code, out, err = call(*offered(out, "next"))
    assert code == 0, err
    assert "made by responses" in call(*offered(out, "next"))[1]


def test_an_unfinished_run_goes_on_with_its_locked_recipe(call, place) -> None:
    given = ("--set", "stages.-1.k=3", "--workspace", "w x", *BARE)
    assert call("run", "tiny.yaml", *given)[0] == 0
    (ledger,) = (place / "w x").glob("runs/*/ledger.json")
    ledger.unlink()
    (place / "tiny.yaml").unlink()
    words = offered(call("status", "last", "--workspace", "w x")[1], "next")
    code, out, err = call(*words, *BARE)
    assert code == 0, err
    assert "0 made, 20 replayed" in out
    assert ledger.exists()
    assert call("check", words[-1])[0] == 0


def test_the_cards_command_builds_the_same_rows_from_a_copy(call, place, monkeypatch) -> None:
    assert call("run", "tiny.yaml", *BARE)[0] == 0
    (data,) = place.glob("runs/*/dataset/data/*.parquet")
    card = (data.parents[1] / "README.md").read_text()
    (words,) = re.findall(r"(?m)^build-dataset (run .*)$", card)
    copy = place / "elsewhere"
    shutil.copytree(data.parents[1], copy)
    (place / "seeds.jsonl").rename(copy / "seeds.jsonl")
    monkeypatch.chdir(copy)
    code, _, err = call(*shlex.split(words.replace("YOUR_COPY_OF", ".")), *BARE)
    assert code == 0, err
    (again,) = copy.glob("runs/*/dataset/data/*.parquet")
    assert again.read_bytes() == data.read_bytes()


@pytest.mark.parametrize(
    ("argv", "kept"),
    [
        (["a.yaml", "-n", "3", "--json", "--quiet"], ["a.yaml"]),
        (["a.yaml", "-n3", "--online", "--map", "x=a b"], ["a.yaml", "--map", "x=a b"]),
    ],
)
def test_options_of_one_command_are_not_given_to_the_next(argv, kept) -> None:
    words = shlex.split(again.again(Namespace(argv=["preview", *argv]), "run"))
    assert words[-len(kept) :] == kept
    assert words[-len(kept) - 1] == "run"


@pytest.mark.parametrize(
    ("called", "shown"),
    [
        ("{here}/.venv/bin/build-dataset", ".venv/bin/build-dataset"),
        ("/opt/my venv/build-dataset", "'/opt/my venv/build-dataset'"),
        ("/x/gristmill/__main__.py", f"{shlex.quote(sys.executable)} -m gristmill"),
        ("pytest", "build-dataset"),
    ],
)
def test_a_command_that_is_not_on_the_path_is_offered_as_it_was_called(
    called, shown, place, monkeypatch
) -> None:
    monkeypatch.setenv("PATH", str(place))
    monkeypatch.setattr(sys, "argv", [called.format(here=place)])
    assert again.program() == shown


def test_a_command_on_the_path_is_offered_by_its_name(place, monkeypatch) -> None:
    (place / "build-dataset").touch(0o755)
    monkeypatch.setenv("PATH", str(place))
    monkeypatch.setattr(sys, "argv", ["/somewhere/else/build-dataset"])
    assert again.program() == "build-dataset"


def test_what_is_offered_by_python_m_runs(place) -> None:
    source = str(Path(__file__).parents[2] / "src")
    environment = {**os.environ, "PYTHONPATH": source, "PATH": "/usr/bin:/bin"}
    first = [sys.executable, "-m", "gristmill", "check", "tiny.yaml"]
    done = subprocess.run(
        first, cwd=place, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert f"\nthen: {shlex.join([*first[:3], 'run', 'tiny.yaml'])}\n" in done.stdout
