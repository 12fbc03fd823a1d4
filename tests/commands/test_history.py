"""What a workspace has kept: all runs, the store's size, what may go and what must stay."""

import json
import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import gristmill
from gristmill.publishing.housekeeping import free_models
from gristmill.storage.shards import lock
from tests.commands.test_bad_input import refused

BARE = (
    "--local",
    "--no-prefect",
    "--set",
    "export={card: false, report: false, formats: [alpaca]}",
)


@pytest.fixture
def build(call):
    """Run the recipe with settings and say what came out."""

    def go(*sets: str, command: str = "run") -> dict:
        given = [part for text in sets for part in ("--set", text)]
        return json.loads(call(command, "tiny.yaml", "--json", *given, *BARE)[1])

    return go


def n_answers(place: Path) -> int:
    with closing(sqlite3.connect(place / ".gristmill" / "answers.sqlite")) as store:
        return store.execute("SELECT count(*) FROM answers").fetchone()[0]


def test_status_without_a_run_lists_all_of_them_newest_first(call, build, place) -> None:
    assert "no runs in runs" in call("status")[1]
    first, second = build(), build("stages.-1.k=3")
    (place / first["run_dir"] / "ledger.json").unlink()
    told = json.loads(call("status", "--json")[1])["runs"]
    assert [line["name"] for line in told] == [Path(run["run_dir"]).name for run in (second, first)]
    assert (told[0]["state"], told[0]["rows"], told[0]["tokens"]) == ("finished: seeds", 3, 0)
    assert (told[1]["state"], told[1]["rows"]) == ("not finished; nothing runs here", None)
    assert told[1]["tokens"] == first["tokens"]
    files = [f for f in (place / second["run_dir"]).rglob("*") if f.is_file()]
    assert told[0]["size_bytes"] == sum(f.stat().st_size for f in files)
    out = call("status")[1].splitlines()
    assert out[0].split() == ["run", "state", "rows", "wall,", "s", "tokens", "made", "MB"]
    assert "finished: seeds" in out[1]
    (place / second["run_dir"] / "ledger.json").write_text("{")
    assert "damaged: run its recipe again" in call("status")[1]
    with lock(place / ".gristmill" / "lock"):
        assert "not finished; a run holds the workspace" in call("status")[1]


def test_the_store_tells_its_size_and_what_no_run_needs(call, build, place) -> None:
    build()
    other = build("stages.1.n=3")
    assert n_answers(place) == 30
    told = json.loads(call("store", "size", "--json")[1])
    assert (told["answers"], told["free"], told["preview"]) == (30, 0, 0)
    shutil.rmtree(place / other["run_dir"])
    code, out, _ = call("store", "size")
    assert (code, out.startswith("30 answers, ")) == (0, True)
    assert "\n10 answers, 0.0 MB of them are needed by no run\n" in out
    assert "next: build-dataset store prune removes them" in out
    assert "removed 10 answers, 0.0 MB; 20 are needed by runs" in call("store", "prune")[1]
    assert (n_answers(place), json.loads(call("store", "size", "--json")[1])["free"]) == (20, 0)


def test_pruning_never_costs_a_kept_run_an_answer(call, build, place) -> None:
    rng, freed, replayed = random.Random(2), 0, 0
    for _ in range(2):
        for _ in range(rng.randint(3, 4)):
            sets = (f"stages.1.n={rng.randint(1, 3)}", f"stages.0.min_chars={rng.choice((1, 17))}",
                    f"seed={rng.randint(1, 2)}")  # fmt: skip
            build(*sets, command=rng.choice(("run", "run", "preview")))
        runs = sorted((place / "runs").glob("*"))
        for run in rng.sample(runs, rng.randint(1, len(runs) - 1)):
            shutil.rmtree(run)
        if rng.random() < 0.5:
            assert call("runs", "remove", "--previews", "--yes")[0] == 0
        freed += json.loads(call("store", "prune", "--json")[1])["free"]
        for run in (place / "runs").glob("*"):
            shutil.rmtree(run / "shards")  # so that every answer is asked for again
            lock_file = run / "recipe.lock.yaml"
            code, out, _ = call("run", str(lock_file), "--json", *BARE)
            calls = json.loads(out)["calls"]
            assert (code, calls["made"]) == (0, 0)
            replayed += calls["replayed"]
    assert freed
    assert replayed


def test_answers_of_rejected_rows_stay_as_well(call, build, place) -> None:
    build("stages.2={use: filters.length, as: long, field: output, min_chars: 999}")
    before = n_answers(place)
    assert "removed 0 answers" in call("store", "prune")[1]
    assert n_answers(place) == before == 20


def test_nothing_is_pruned_while_a_run_has_not_ended(call, build, place) -> None:
    run = build()["run_dir"]
    (place / run / "ledger.json").unlink()
    refused(
        call("store", "prune"), 2, "has not ended, and the answers of rows under way", "runs re"
    )
    assert n_answers(place) == 20
    assert call("runs", "remove", run, "--yes")[0] == 0
    assert "removed 20 answers" in call("store", "prune")[1]


def test_a_run_in_a_folder_of_its_own_keeps_its_answers(call, build, place) -> None:
    build()
    recipe, own = gristmill.Recipe.load(place / "tiny.yaml", ["stages.1.n=3"]), place / "own"
    gristmill.run(recipe, workspace=place, folder=own)
    shutil.rmtree(place / "runs")
    assert "removed 0 answers" in call("store", "prune")[1]
    assert n_answers(place) == 30
    own.rename(place / "moved")
    refused(call("store", "prune"), 2, "own is gone", "remove its line from .gristmill/folders")
    assert n_answers(place) == 30
    (place / ".gristmill" / "folders").unlink()
    assert "removed 30 answers" in call("store", "prune")[1]


def test_nothing_is_pruned_while_a_shard_is_lost_or_damaged(call, build, place) -> None:
    told = place / build()["run_dir"]
    shard = next(told.glob("shards/*/*.parquet"))
    os.truncate(shard, 100)
    refused(call("store", "prune"), 2, shard.name, "run its recipe again first")
    shard.unlink()
    refused(call("store", "prune"), 2, shard.name, "run its recipe again first")
    assert n_answers(place) == 20


def test_what_is_removed_is_no_guess(call, build, place) -> None:
    old, new = [place / build(f"stages.-1.k={k}")["run_dir"] for k in (2, 3)]
    refused(call("runs", "remove", "tiny", "--yes"), 2, "may be any of", old.name, new.name)
    assert call("runs", "remove", str(old.absolute()), "--keep", "1", "--yes")[0] == 0
    assert not old.exists()
    new.rename(place / "disk")
    new.symlink_to(place / "disk")
    refused(call("runs", "remove", new.name, "--yes"), 2, "is a link")
    assert (place / "disk" / "recipe.lock.yaml").exists()


def test_trainings_stay_as_long_as_a_run_was_measured_or_trains(call, build, place) -> None:
    run = place / build()["run_dir"]
    models = place / ".gristmill" / "models"
    (models / "abc").mkdir(parents=True)
    with closing(sqlite3.connect(place / ".gristmill" / "answers.sqlite")) as store, store:
        store.execute("INSERT INTO answers VALUES ('abc', ?)", (b'["abc", 1, 2, 3]\nARROW1',))
    (run / "proof.json").write_text("{}")
    assert "removed 0 answers" in call("store", "prune")[1]
    assert free_models(place, [run]) == []
    (run / "proof.json").unlink()
    assert free_models(place, [run]) == [models / "abc"]
    assert "removed 1 answer, " in call("store", "prune")[1]
    code, out, _ = call("runs", "remove", "--models", "--yes")
    assert (code, "removed .gristmill/models/abc" in out, list(models.iterdir())) == (0, True, [])


def test_runs_are_listed_before_they_are_removed(call, build, place) -> None:
    old, new = build()["run_dir"], build("stages.-1.k=3")["run_dir"]
    build("stages.-1.k=2", command="preview")
    code, out, _ = call("runs", "remove", "--keep", "1", "--previews")
    assert code == 0
    assert f"would remove {old}  0." in out
    assert "would remove .gristmill/preview/tiny-" in out
    assert "would remove 2 folders, 0." in out
    assert "next: build-dataset runs remove --keep 1 --previews --yes" in out
    assert (place / old).exists()
    told = json.loads(call("runs", "remove", "--keep", "1", "--previews", "--yes", "--json")[1])
    assert [Path(line["path"]).parent.name for line in told["removed"]] == ["runs", "preview"]
    assert not (place / old).exists()
    assert (place / new / "dataset").exists()
    assert not list((place / ".gristmill" / "preview").iterdir())
    refused(call("runs", "remove", old), 2, "is no run" if Path(old).is_dir() else "no run '")


def test_what_is_in_use_is_not_removed(call, build, place) -> None:
    run = build()["run_dir"]
    with lock(place / ".gristmill" / "lock"):
        refused(call("runs", "remove", run, "--yes"), 4, "runs remove waits until it has ended")
        refused(call("store", "prune"), 4, "store prune waits until it has ended")
        assert call("store", "size")[0] == 0
    reads = f"stages.0={{use: filters.exact_duplicates, against: [{run}/dataset/data]}}"
    other = Path(build(reads)["run_dir"]).name
    refused(call("runs", "remove", run, "--yes"), 2, f"is read by the recipe of {other}")
    assert (place / run / "dataset").exists()
    (place / "other" / ".gristmill").mkdir(parents=True)
    elsewhere = ("runs", "remove", run, "--yes", "--workspace", "other")
    refused(call(*elsewhere), 2, "belongs to another workspace", "--workspace .")
    told = json.loads(call("runs", "remove", run, other, "--yes", "--json")[1])
    assert len(told["removed"]) == 2


def test_a_folder_without_a_workspace_is_none(call, place) -> None:
    refused(call("store", "prune"), 2, "has no .gristmill: nothing was run here; see --workspace")
    assert json.loads(call("store", "size", "--json")[1])["answers"] == 0
    assert not (place / ".gristmill").exists()


def test_an_older_store_is_upgraded_and_a_later_one_refused(call, build, place) -> None:
    path = place / ".gristmill" / "answers.sqlite"
    build()

    def version(number: int | None = None) -> int:
        with closing(sqlite3.connect(path)) as store:
            if number is not None:
                store.execute(f"PRAGMA user_version = {number}")
            return store.execute("PRAGMA user_version").fetchone()[0]

    assert version() == 1
    version(0)
    assert build()["calls"] == {"made": 0, "replayed": 20}
    assert version() == 1
    version(2)
    said = "has version 2, this gristmill knows 1: a later one wrote it; install that one"
    refused(call("run", "tiny.yaml", "--set", "seed=9", *BARE), 2, said)
    refused(call("store", "prune"), 2, said)
    assert version() == 2
