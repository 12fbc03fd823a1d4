"""What lies beside a card builds the same dataset again, with the environment that it names."""

import os
import shlex
import shutil
from importlib import metadata
from pathlib import Path

import pytest

from gristmill.cli import main
from gristmill.publishing.environment import text

FORM = ("--local", "--no-prefect")


def told(dataset: Path) -> list[str]:
    """Return the card's command as words, without the program's name."""
    body = (dataset / "README.md").read_text().split("## Build it again\n")[1]
    return shlex.split(body.split("```")[1].strip())[1:]


def test_the_card_the_lock_and_a_copy_of_the_seeds_build_the_same_bytes(
    call, place, monkeypatch
) -> None:
    assert call("run", "tiny.yaml", *FORM)[0] == 0
    [run] = place.glob("runs/*")
    there = place / "another machine"
    (there / "YOUR_COPY_OF").mkdir(parents=True)
    for name in ("recipe.yaml", "environment.txt"):
        shutil.copy2(run / "dataset" / name, there)
    shutil.copy2(place / "seeds.jsonl", there / "YOUR_COPY_OF")
    monkeypatch.chdir(there)
    code, _, err = call(*told(run / "dataset"), *FORM)
    assert (code, "environment.txt" in err) == (0, False)
    [again] = there.glob("runs/*/dataset")
    files = sorted(file.relative_to(again) for file in again.glob("data/*"))
    assert files
    for name in [*files, Path("environment.txt"), Path("recipe.yaml")]:
        assert (again / name).read_bytes() == (run / "dataset" / name).read_bytes()


def test_the_lock_pins_every_package_as_it_is_here_and_names_no_path(call, place) -> None:
    assert call("run", "tiny.yaml", *FORM)[0] == 0
    [file] = place.glob("runs/*/dataset/environment.txt")
    lines = file.read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert {name: metadata.version(name) for name in pins} == pins
    assert {"pyarrow", "ray", "aiohttp-cors", "pydantic-core", "mypy"} <= pins.keys()
    assert not {"pytest", "ruff", "import-linter"} & pins.keys()
    assert "/" not in "".join(lines)


def test_what_pip_does_not_find_by_itself_is_told(call, place) -> None:
    here = {"python": "3.11.7", "source of gristmill": "00", "gristmill": "0.1.0"}
    lock = text({**here, "torch": "2.9.0+cpu", "torchvision": "0.24.0+cpu", "numpy": "2.3.4"})
    lines = [line for line in lock.splitlines() if not line.startswith("#")]
    assert lines == ["numpy==2.3.4", "torch==2.9.0+cpu", "torchvision==0.24.0+cpu"]
    assert "# torch==2.9.0+cpu: give pip the index of who built it" in lock
    assert {"# gristmill 0.1.0", "# python 3.11.7"} <= {*lock.splitlines()}
    assert "install it from its source" in lock
    (place / "environment.txt").write_text(lock.replace("0.1.0", "0.0.9") + "no-such-package==1\n")
    err = call("run", "tiny.yaml", *FORM)[2]
    assert "gristmill 0.0.9 (here " in err
    assert "environment.txt in a new environment makes them the same" in err


def test_another_environment_is_named_before_the_run(call, place) -> None:
    (place / "environment.txt").write_text(
        "# python 2.7.18\n# source of gristmill 00\ngristmill==9.9\nno-such-package==1\npyyaml==0\n"
    )
    err = call("run", "tiny.yaml", *FORM)[2]
    assert "environment.txt says what built this dataset: python 2.7.18 (here 3." in err
    assert "gristmill 9.9 (here " in err
    assert "no-such-package 1 (here missing)" in err
    (place / "environment.txt").write_text("not a lock ==\n\x00")
    assert "environment.txt" not in call("run", "tiny.yaml", *FORM)[2]


def test_a_lock_of_somebody_else_changes_nothing_on_the_screen(call, place) -> None:
    lock = place / "environment.txt"
    lock.write_text(
        "# python 2.7\x1b]0;title\x07\nruff==1\x1b[2J\npyyaml==0\x9b31m\n"
        f"{'a' * 99}==1\nclick==\u202e1\nno-such-package==1\n"
    )
    err = call("run", "tiny.yaml", *FORM)[2]
    [line] = [line for line in err.splitlines() if "environment.txt" in line]
    assert "what built this dataset: no-such-package 1 (here missing); not all of its" in line
    assert line.isprintable()


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://example.org/simple",
        "--extra-index-url https://example.org/whl/cpu",
        "x @ git+https://example.org/x",
        "-e .",
    ],
)
def test_a_lock_that_does_more_than_pin_is_not_to_be_installed_unread(call, place, line) -> None:
    (place / "environment.txt").write_text(f"# a lock\n\nno-such-package==1\n{line}\n")
    err = call("run", "tiny.yaml", *FORM)[2]
    assert "not all of its lines pin a package: read it before pip does" in err
    assert "pip install" not in err


def test_only_a_run_writes_the_lock_and_a_card_of_one_without_claims_none(call, place) -> None:
    call("run", "tiny.yaml", *FORM)
    [file] = place.glob("runs/*/dataset/environment.txt")
    file.write_text("# python 2.7.18\n")
    # A copy has other times than its run had.
    os.utime(file, (0, 0))
    assert main(["report", "last"]) == 0
    assert file.read_text() == "# python 2.7.18\n"
    assert "`environment.txt`, the lock of all packages" in (file.parent / "README.md").read_text()
    file.unlink()
    assert main(["report", "last"]) == 0
    assert not file.exists()
    assert "environment.txt" not in (file.parent / "README.md").read_text()
    assert call("run", "tiny.yaml", *FORM)[0] == 0
    assert "pydantic-core==" in file.read_text()
