"""Growing on the command line: new seeds only, older rows as they are, one ledger over all."""

import asyncio
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from audit import audit

from gristmill.cli import main
from gristmill.engines.scripted import Scripted
from gristmill.errors import EngineError, GateClosed, RunLocked
from gristmill.flows import growing
from gristmill.flows.order import Order
from gristmill.pipelines.workspace import Prepared
from gristmill.publishing import amending, hub
from gristmill.publishing.calibration import save
from gristmill.publishing.checks import problems
from gristmill.publishing.files import RunFiles
from gristmill.publishing.review import Review
from gristmill.publishing.seal import seal
from tests.publishing.conftest import unlinked
from tests.publishing.hub_server import TOKEN, serving

RECIPE = r"""name: pets
seeds: {path: seeds.jsonl}
engines:
  generator: {use: scripted, rules: [["(?s).*", 'So \g<0> {draw}']]}
stages:
  - use: generators.responses
    n: 1
  - use: filters.near_duplicates
    ngram: 2
    threshold: 0.6
export: {formats: [messages], validation_rate: 0.3}
"""
GROWN = Path("datasets/pets")


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pets.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def grow(place, capfd):
    """Write these seeds, grow, and return the exit code and what `--json` and stderr say."""

    def go(*names: str, argv: tuple[str, ...] = ()) -> tuple[int, dict, str]:
        lines = [
            json.dumps({"instruction": f"Say where {name} sleeps at night."}) for name in names
        ]
        (place / "seeds.jsonl").write_text("\n".join(lines))
        bare = ("--local", "--no-prefect", "--json", "--grow")
        code = main(["run", "pets.yaml", *bare, *argv])
        out, err = capfd.readouterr()
        return code, json.loads(out), err

    return go


def rows() -> dict[str, str]:
    tables = [pq.read_table(file).to_pylist() for file in sorted(GROWN.glob("dataset/data/*"))]
    return {row["id"]: row["instruction"] for table in tables for row in table}


def sides() -> dict[str, str]:
    tables = {file: pq.read_table(file, columns=["id"]) for file in GROWN.glob("dataset/data/*")}
    return {i: f.name.partition("-")[0] for f, ids in tables.items() for i in ids["id"].to_pylist()}


def test_only_new_seeds_are_worked_on_and_older_rows_stay_as_they_are(grow) -> None:
    first = grow("the heron", "the otter")[1]
    assert (first["grown"]["version"], first["calls"]["made"]) == (1, 2)
    old = rows()
    # A seed in front, one that says nearly what an accepted row says, and one that is new.
    code, told, _ = grow("a tapir", "the heron", "the  heron!", "the otter")
    assert (code, told["seeds"]["rows"], told["calls"]["made"]) == (0, 2, 2)
    assert told["grown"]["diff"] == {"added": 1, "changed": 0, "removed": 0}
    assert told["grown"]["lost"] == {"near_duplicate": 1}
    assert told["grown"]["rows"] == 3
    assert rows().items() > old.items()
    code, told, _ = grow("a tapir", "the heron", "the  heron!", "the otter")
    assert (code, told["grown"]["version"], "run_dir" in told) == (0, 2, False)
    grow("a tapir", "the heron", "the  heron!", "the otter", "my newt", "his gecko")
    assert not audit(GROWN)
    assert not problems(RunFiles.open(GROWN))
    note = json.loads((GROWN / "ledger.json").read_text())
    assert [one["rows"] for one in note["versions"]] == [2, 3, 5]
    assert (note["seeds"], note["calls"], note["stages"][0]["in"]) == (
        6,
        {"made": 6, "replayed": 0},
        6,
    )
    whole = main(["run", "pets.yaml", "--local", "--no-prefect", "--quiet"])
    assert whole == 0
    last = max(Path("runs").glob("*/ledger.json"), key=lambda file: file.stat().st_mtime).parent
    all_ids = {row["id"] for row in pq.read_table(last / "dataset" / "data").to_pylist()}
    assert rows().keys() <= {row["id"] for row in RunFiles.open(last).rows.to_dicts()}
    assert len(all_ids & rows().keys()) >= 4


def test_the_card_tells_every_version_and_how_to_build_it(grow) -> None:
    grow("the heron", "the otter")
    grow("the heron", "the otter", "a tapir", "the heron, then,")
    text = unlinked((GROWN / "dataset" / "README.md").read_text())
    assert "3 rows, built from 4 seeds" in text
    newest, oldest = (
        text.index("**v2**: 1 row added, 0 changed, 0 removed; 3 in all"),
        text.index("**v1**: 2"),
    )
    assert newest < oldest
    assert "What left: `near_duplicate` 1" in text
    assert "build-dataset run recipe.yaml --input YOUR_COPY_OF/seeds.jsonl --grow" in text
    recipe = yaml.safe_load((GROWN / "dataset" / "recipe.yaml").read_text())
    assert "against" not in recipe["stages"][1]
    lines = [file.read_text().count("\n") for file in GROWN.glob("dataset/exports/messages/*")]
    assert sum(lines) == 3


def test_trainers_read_all_versions_and_only_those_that_came(grow, place) -> None:
    recipe = RECIPE.replace("[messages]", "[messages, alpaca, preference]")
    (place / "pets.yaml").write_text(recipe.replace(", validation_rate: 0.3", ""))
    grow("the heron")
    grow("the heron", "the otter")
    exports = GROWN / "dataset" / "exports"
    registry = json.loads((exports / "dataset_info.json").read_text())
    assert list(registry) == ["alpaca_v0001", "alpaca_v0002", "messages_v0001", "messages_v0002"]
    for entry in registry.values():
        line = json.loads((exports / entry["file_name"]).read_text().splitlines()[0])
        assert set(entry["columns"].values()) <= set(line)
    told = yaml.safe_load((exports / "axolotl.yaml").read_text())
    paths = [one["path"] for one in told["datasets"]]
    assert paths == [f"exports/messages/train-v000{n}.jsonl" for n in (1, 2)]
    card = unlinked((GROWN / "dataset" / "README.md").read_text())
    assert "`dataset: alpaca_v0001,alpaca_v0002`" in card
    assert {f"exports/{n}" for n in ("axolotl.yaml", "dataset_info.json")} <= {
        name for name, _ in hub._files(RunFiles.open(GROWN))
    }


def test_marks_that_decided_a_part_are_told_by_the_card_of_the_whole(grow, place, capfd) -> None:
    lines = [{"instruction": f"Say where {name} sleeps at night."} for name in ("my newt", "a cat")]
    (place / "seeds.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert main(["run", "pets.yaml", "--local", "--no-prefect", "--quiet"]) == 0
    [run] = Path("runs").glob("pets-*")
    review = Review(run)
    review.mark({review.run.kept[0]: ("drop", "dull")})
    capfd.readouterr()
    assert grow("my newt", "a cat")[1]["grown"]["rows"] == 1
    grow("my newt", "a cat", "the otter")
    card = unlinked((GROWN / "dataset" / "README.md").read_text())
    assert "- Rows taken out, with the code `reviewed`: 1." in card
    assert "Nothing here was checked by hand" not in card
    assert "--import marks.jsonl" not in card
    assert (GROWN / "dataset" / "marks.jsonl").exists()


def test_a_row_dropped_later_leaves_with_the_next_version_and_comes_back_without_its_mark(
    grow, capfd
) -> None:
    names = ("the heron", "my newt", "an old cat", "two otters")
    grow(*names[:3])
    grow(*names)
    old = rows()
    gone = next(i for i, text in old.items() if "newt" in text)
    Review(GROWN).mark({gone: ("drop", "dull")})
    assert main(["run", "pets.yaml", "--local", "--no-prefect", "--grow"]) == 0
    assert "1 row taken out, 0 rows added to make 3" in capfd.readouterr()[0]
    assert rows().keys() == old.keys() - {gone}
    assert not audit(GROWN)
    assert not problems(RunFiles.open(GROWN))
    exported = "".join(file.read_text() for file in GROWN.glob("dataset/exports/messages/*.jsonl"))
    assert exported.count("\n") == 3
    assert "newt" not in exported
    card = unlinked((GROWN / "dataset" / "README.md").read_text())
    assert "**v3**: 0 rows added, 0 changed, 1 removed; 3 in all. As people marked them." in card
    assert "- Rows taken out, with the code `reviewed`: 1." in card
    assert grow(*names)[1]["grown"]["version"] == 3  # nothing is due
    Review(GROWN).mark({gone: (None, "")})
    told = grow(*names)[1]["grown"]
    assert (told["version"], told["diff"]["added"]) == (4, 1)
    assert rows() == old
    assert not audit(GROWN)


def test_a_row_kept_later_comes_back_and_what_else_its_seed_gave_stays(grow, place) -> None:
    more = "  - use: filters.length\n  - use: selectors.longest\n    k: 9\nexport:"
    (place / "pets.yaml").write_text(RECIPE.replace("n: 1", "n: 2").replace("export:", more))
    part = grow("the heron", "an old cat", "my newt")[1]["grown"]["run"]
    grow("the heron", "an old cat", "my newt", "two otters")
    old, before = rows(), RunFiles.open(GROWN)
    rejected = before.rows.filter(before.rows["end"] == "rejected")["id"].to_list()
    assert rejected
    Review(Path("runs") / part, [GROWN]).mark({rejected[0]: ("keep", "differs enough")})
    names = ("the heron", "an old cat", "my newt", "two otters", "a blue whale")
    told = grow(*names)[1]
    assert told["grown"]["version"] == 4
    run = RunFiles.open(GROWN)
    assert [one["diff"]["added"] for one in run.note["versions"]][2] == 1
    assert rows().items() > old.items()
    assert rejected[0] in rows()
    assert not audit(GROWN)
    assert not problems(run)
    assert not (place / ".gristmill" / "marked" / "pets").exists()
    card = unlinked((GROWN / "dataset" / "README.md").read_text())
    assert "- Rows brought back that `near_duplicates` had rejected as `near_duplicate`: 1." in card


def test_a_row_that_a_later_stage_rejects_again_is_not_tried_at_every_growth(grow, place) -> None:
    later = "  - use: filters.near_duplicates\n    as: again\n    ngram: 2\n"
    more = f"{later}    threshold: 0.5\nexport:"
    (place / "pets.yaml").write_text(RECIPE.replace("n: 1", "n: 2").replace("export:", more))
    names = ("the heron", "an old cat", "my newt")
    part = grow(*names)[1]["grown"]["run"]
    before = RunFiles.open(GROWN)
    first = before.rows.filter(end_at="near_duplicates", end="rejected")["id"][0]
    Review(Path("runs") / part, [GROWN]).mark({first: ("keep", "differs enough")})
    grow(*names)
    assert first not in rows()
    assert amending.wanted(RunFiles.open(GROWN)).back == {}
    grow(*names, "two otters")
    assert amending.wanted(RunFiles.open(GROWN)).back == {}
    asked = before.last_of([first])[0]["instruction"]
    twin = next(i for i, text in rows().items() if text == asked)
    Review(GROWN).mark({twin: ("drop", "the other one")})
    grow(*names, "two otters")
    assert twin not in rows()
    assert first in amending.wanted(RunFiles.open(GROWN)).back, "what left may have been in its way"
    grow(*names, "two otters")
    assert amending.wanted(RunFiles.open(GROWN)).back == {}


def test_a_row_whose_children_are_rejected_is_not_tried_at_every_growth(grow, place) -> None:
    first = "  - use: filters.near_duplicates\n    as: asked\n    ngram: 2\n    threshold: 0.2\n"
    recipe = RECIPE.replace("stages:\n", f"stages:\n{first}").replace("0.6", "0.2")
    (place / "pets.yaml").write_text(recipe.replace("n: 1", "n: 2"))
    names = ("the heron", "an old cat", "my newt")
    part = grow(*names)[1]["grown"]["run"]
    lost = RunFiles.open(GROWN).rows.filter(end_at="asked", end="rejected")["id"][0]
    Review(Path("runs") / part, [GROWN]).mark({lost: ("keep", "differs enough")})
    assert amending.wanted(RunFiles.open(GROWN)).back.keys() == {lost}
    before = rows()
    grow(*names)
    assert rows() == before
    assert amending.wanted(RunFiles.open(GROWN)).back == {}


def test_a_row_comes_back_to_the_side_where_its_question_is(grow, place) -> None:
    recipe = RECIPE.replace("n: 1", "n: 2").replace("0.6", "0.99")
    (place / "pets.yaml").write_text(recipe.replace("validation_rate: 0.3", "validation_rate: 0.5"))
    names = ("the heron", "my zebra", "an old cat", "two otters", "a blue whale", "his gecko")
    grow(*names)
    old = sides()
    assert sorted(old.values()).count("validation") in range(2, 12, 2)
    both = [i for i in rows() if old[i] == "validation"]
    # One of two rows of a question, and both rows of another.
    gone = {both[0], *(i for i, text in rows().items() if text == rows()[both[-1]])}
    Review(GROWN).mark(dict.fromkeys(gone, ("drop", "")))
    grow(*names)
    assert sides().keys() == old.keys() - gone
    Review(GROWN).mark(dict.fromkeys(gone, (None, "")))
    grow(*names)
    assert sides() == old


def test_a_row_marked_drop_leaves_though_another_cannot_come_back(grow) -> None:
    names = ("the heron", "my newt", "an old cat", "two otters")
    grow(*names)
    first, second = list(rows())[:2]
    Review(GROWN).mark({first: ("drop", "")})
    grow(*names)
    Review(GROWN).mark({first: (None, ""), second: ("drop", "")})
    order = Order(recipe="pets.yaml", grow=True, local=True)
    prepared = order.prepare()

    def fail(due: Prepared, path: Path) -> None:
        raise EngineError("the engine is down")

    with pytest.raises(EngineError, match="is down"):
        growing.amend(prepared, GROWN, fail, allow_plugins=False)
    assert not {first, second} & rows().keys()
    assert not audit(GROWN)
    assert not problems(RunFiles.open(GROWN))
    assert grow(*names)[1]["grown"]["diff"] == {"added": 1, "changed": 0, "removed": 0}
    assert first in rows()
    assert second not in rows()


def test_no_note_tells_of_a_file_whose_rows_have_left(place, capfd) -> None:
    (place / "pets.yaml").write_text(
        "name: pets\nseeds: {path: seeds.jsonl}\n"
        "stages: [{use: filters.near_duplicates}]\nexport: {formats: [messages]}\n"
    )
    lines = [{"instruction": "Name a bird.", "output": "Heron."}, {"instruction": "Say more."}]
    (place / "seeds.jsonl").write_text("\n".join(map(json.dumps, lines)))
    bare = ["run", "pets.yaml", "--local", "--no-prefect", "--grow"]
    assert main(bare) == 0
    told = GROWN / "dataset" / "exports" / "notes.json"
    assert RunFiles.open(GROWN).left_out
    notes = told.read_text()
    Review(GROWN).mark({i: ("drop", "") for i, text in rows().items() if text == "Say more."})
    assert main(bare) == 0
    assert not told.exists()
    told.write_text(notes)  # as an older version left it
    assert not RunFiles.open(GROWN).left_out


def test_the_lock_is_that_of_the_run_that_last_gave_rows(grow, place) -> None:
    lock, names = GROWN / "dataset" / "environment.txt", ("the heron", "my newt", "an old cat")
    grow(*names[:2])
    lock.write_text("# python 2.7.18\n")
    first = next(iter(rows()))
    Review(GROWN).mark({first: ("drop", "")})
    grow(*names[:2])
    assert lock.read_text() == "# python 2.7.18\n"
    Review(GROWN).mark({first: (None, "")})
    grow(*names[:2])
    assert "pydantic-core==" in lock.read_text()
    lock.unlink()  # as before there were locks
    (GROWN / "dataset" / "README.md").unlink()
    grow(*names[:2])
    assert "environment.txt" not in (GROWN / "dataset" / "README.md").read_text()
    assert grow(*names)[1]["grown"]["version"] == 4
    card = unlinked((GROWN / "dataset" / "README.md").read_text())
    assert "`environment.txt`, the lock of all packages when it last took rows" in card
    assert "pydantic-core==" in lock.read_text()


def test_judges_stand_in_the_card_of_all_versions(grow, monkeypatch) -> None:
    one = {"compared": 9, "agreement_rate": 0.5, "kappa": 0.25, "low": 0.1, "high": 0.4}
    for i, name in enumerate(("the heron", "my newt")):
        kin, found = [f"judge {i} is kin"], {"rubric": one | {"order_bias_rate": None}}
        monkeypatch.setattr("gristmill.commands.judges.own_family", lambda _, kin=kin: kin)
        note = (lambda run, _, kin, found=found: save(run, found, kin)) if i == 0 else save
        monkeypatch.setattr("gristmill.commands.judges.calibration.save", note)
        grow(*("the heron", "my newt")[: i + 1])
        card = unlinked((GROWN / "dataset" / "README.md").read_text())
        assert f"- {kin[0]}.\n" in card, name
        assert ("| `rubric` | 9 | 50.0% | 0.250 |" in card) == (i == 0)
    assert "- judge 0 is kin.\n" in card


def test_what_seeds_cost_that_run_again_is_paid_by_the_dataset_and_shown(
    grow, capfd, monkeypatch
) -> None:
    names = ("the heron", "my newt", "an old cat")
    grow(*names)
    first = next(iter(rows()))
    Review(GROWN).mark({first: ("drop", "")})
    grow(*names)
    old = RunFiles.open(GROWN)
    Review(GROWN).mark({first: (None, "")})
    Path(".gristmill/answers.sqlite").unlink()  # asked anew
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    answer = Scripted.generate

    async def take_a_moment(engine, request):
        await asyncio.sleep(0.3)
        return await answer(engine, request)

    monkeypatch.setattr(Scripted, "generate", take_a_moment)
    monkeypatch.setattr("gristmill.engines.progress.LOOK_S", 0.05)
    assert main(["run", "pets.yaml", "--local", "--no-prefect", "--grow"]) == 0
    assert "responses" in terminal.getvalue()
    new = RunFiles.open(GROWN)
    assert (new.note["calls"]["made"], len(new.bills)) == (4, len(old.bills) + 1)
    assert new.note["tokens"] > old.note["tokens"]
    assert new.note["roles"]["generator"]["made"] == old.note["roles"]["generator"]["made"] + 1
    assert sum(bill["made"] for bill in new.bills) == 4


def test_a_seed_that_gives_nothing_back_was_paid_for_all_the_same(grow) -> None:
    names = ("the heron", "my newt", "an old cat")
    grow(*names)
    first = next(iter(rows()))
    Review(GROWN).mark({first: ("drop", "")})
    grow(*names)
    folder, old = Path(".gristmill/marked/pets"), RunFiles.open(GROWN)
    Review(GROWN).mark({first: (None, "")})
    prepared = Order(recipe="pets.yaml", grow=True, local=True).prepare()

    def give_nothing(due: Prepared, path: Path) -> None:
        (path / "costs").mkdir()
        bill = {**old.bills[0], "made": 1, "tokens": 9}
        (path / "costs" / "1-1.json").write_text(json.dumps(bill))
        note = {**old.note, "files": [], "dataset": {}, "versions": [], "tokens": 9}
        note |= {"calls": {"made": 1, "replayed": 0}}
        (path / "ledger.json").write_text(json.dumps(note))
        (path / "recipe.lock.yaml").write_text(yaml.safe_dump(old.lock))

    assert growing.amend(prepared, GROWN, give_nothing, allow_plugins=False) is None
    new = RunFiles.open(GROWN)
    assert new.note["tokens"] == old.note["tokens"] + 9
    assert new.note["calls"]["made"] == old.note["calls"]["made"] + 1
    assert new.bills[-1]["tokens"] == 9
    assert not folder.exists()


def test_files_that_a_version_replaced_are_no_part_of_it(grow, capfd) -> None:
    part = grow("my newt", "a cat")[1]["grown"]["run"]
    stale = {file: file.read_bytes() for file in GROWN.glob("dataset/*/*.*")}
    marked = {RunFiles.open(GROWN).kept[0]: ("drop", "")}
    assert main(["review", part, "--export", "rows.json"]) == 0
    assert f"{part} is a part of datasets/pets: marks decide there, too" in capfd.readouterr()[1]
    Review(GROWN).mark(marked)
    grow("my newt", "a cat")
    assert not [file for file in stale if file.name.startswith("train-v0001") and file.exists()]
    for file, data in stale.items():
        file.write_bytes(data)  # killed before they were removed
    run = RunFiles.open(GROWN)
    assert (len(run.kept), len(rows())) == (1, 2)
    assert not problems(run)
    assert not any("v0001" in name for name, _ in hub._files(run) if "train" in name)
    assert grow("my newt", "a cat", "two otters")[1]["grown"]["rows"] == 2
    assert len(rows()) == 2
    Review(GROWN).mark(dict.fromkeys(rows(), ("drop", "")))
    assert "drop every row" in grow("my newt", "a cat")[1]["error"]


def test_another_recipe_does_not_grow_it_and_an_edited_one_is_named(grow, place) -> None:
    grow("the heron")
    code, _, err = grow("the heron", "the otter", argv=("--set", "stages.1.threshold=0.5"))
    assert (code, "made by another recipe than this 'pets' is now" in err) == (2, True)
    file = next(GROWN.glob("dataset/data/*"))
    more = file.with_name("train-more.parquet")
    more.write_bytes(file.read_bytes())
    code, _, err = grow("the heron", "the otter")
    assert (code, "data/train-more.parquet changed since" in err) == (2, True)
    more.unlink()
    file.write_bytes(file.read_bytes() + b" ")
    code, _, err = grow("the heron", "the otter")
    assert (code, f"{file.relative_to(GROWN / 'dataset')} changed since" in err) == (2, True)
    (place / "pets.yaml").write_text(
        RECIPE.replace("near_duplicates", "length").split("    ngram")[0]
    )
    code, _, err = grow("the heron")
    assert (code, "add `- use: filters.near_duplicates`" in err) == (2, True)


def test_of_two_that_grow_at_once_the_later_adds_nothing(grow, place) -> None:
    grow("the heron")
    order = Order(recipe="pets.yaml", grow=True, local=True)
    (place / "seeds.jsonl").write_text('{"instruction": "Say where the otter sleeps at night."}')
    late = order.due(order.prepare())
    grow("the otter", "a tapir")
    with pytest.raises(RunLocked, match=r"pets grew to v2 while .* none was added; run the same"):
        order.execute(late)
    assert len(rows()) == 3


def test_what_was_cut_short_after_the_ledger_is_told_the_next_time(grow) -> None:
    grow("the heron")
    (GROWN / "dataset" / "README.md").unlink()
    assert grow("the heron")[0] == 0
    assert "**v1**" in (GROWN / "dataset" / "README.md").read_text()


def test_a_version_cut_short_before_the_ledger_is_made_again_and_none_of_it_stays(grow) -> None:
    grow("the heron")
    note = GROWN / "ledger.json"
    before = {
        file: file.read_bytes() for file in (note, *GROWN.glob("dataset/*.*")) if file.is_file()
    }
    assert grow("the heron", "the otter")[1]["grown"]["rows"] == 2
    for file, data in before.items():
        file.write_bytes(data)
    for place in ("dataset/data/validation-v0002.parquet", "costs/v0002-1-1.json"):
        (GROWN / place).write_bytes(b"of a version that never came")
    run = RunFiles.open(GROWN)
    assert (len(run.kept), len(run.bills)) == (1, 1)
    assert not any("v0002" in name for name, _ in hub._files(run))
    told = grow("the heron", "the otter")[1]["grown"]
    assert (told["version"], told["rows"], told["lost"]) == (2, 2, {})
    assert not problems(RunFiles.open(GROWN))
    assert not (GROWN / "costs" / "v0002-1-1.json").exists()


def test_answers_behind_a_grown_dataset_outlive_the_runs_that_made_it(grow, capfd) -> None:
    grow("the heron", "the otter")
    assert main(["runs", "remove", "last", "--yes"]) == 0
    capfd.readouterr()
    assert main(["store", "prune", "--json"]) == 0
    assert json.loads(capfd.readouterr()[0])["free"] == 0
    assert grow("the heron", "the otter", "a tapir")[1]["grown"]["rows"] == 3


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_a_version_keeps_its_tag_and_one_with_other_rows_is_refused(
    grow, place, monkeypatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serving() as server:
        grow("the heron")
        first = hub.publish(GROWN, "me/pets", endpoint=server.url)
        card = GROWN / "dataset" / "README.md"
        card.write_text(seal(card.read_text().rpartition("\n<!--")[0] + "\nMore is known by now."))
        told_more = hub.publish(GROWN, "me/pets", endpoint=server.url)
        tags = server.repos["me/pets"]["tags"]
        assert (tags, told_more.commit != first.commit) == ({"v1": first.commit}, True)
        GROWN.rename(place / "older")
        grow("a tapir")
        with pytest.raises(GateClosed, match="v1 of me/pets is on the Hub with other rows"):
            hub.publish(GROWN, "me/pets", endpoint=server.url)
        assert server.repos["me/pets"]["commits"][-1] == told_more.commit
        grow("a tapir", "the otter")
        second = hub.publish(GROWN, "me/pets", endpoint=server.url)
        assert tags == {"v1": first.commit, "v2": second.commit}
