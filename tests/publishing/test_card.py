import json
import re

import pytest
import yaml
from audit import audit

from gristmill import run
from gristmill.errors import InputError
from gristmill.publishing import calibration, card
from tests.publishing.conftest import unlinked


def front(text: str):
    head, _, body = text.removeprefix("---\n").partition("\n---\n")
    return yaml.safe_load(head), body


def test_the_figures_of_the_card_are_those_of_the_run(finished) -> None:
    meta, body = front(unlinked(card.write(finished()).read_text()))
    assert body.startswith("\n# demo_run\n")
    ledger = json.loads((finished() / "ledger.json").read_text())
    for at in ledger["stages"]:
        lost = at["rejected"] + at["rejected_children"]
        row = f"| {at['stage']} | {at['in']} | {at['made']} | {at['kept']} | {lost} | 0 |"
        assert row in body
    gone = next(s["rejected"] for s in ledger["stages"] if s["stage"] == "near_duplicates")
    assert gone
    assert f"Duplicates removed by `near_duplicates`: {gone}." in body
    assert "could not be read and were left out: 2; `malformed.jsonl` of the run" in body
    assert "- `3 functions without a docstring <b>`" in body
    assert "| `stdlib` | `PSF-2.0` | 30 |" in body
    assert "`not judged` 1 (" in body
    assert "`--set engines.generator.model=NAME` `--set engines.scorer.model=NAME`" in body
    assert meta["size_categories"] == ["n<1K"]
    assert (meta["license"], meta["license_name"]) == ("other", "psf-2.0")
    assert meta["language"] == ["code"]
    assert {"synthetic", "gristmill", "python"} <= set(meta["tags"])


def test_every_reject_code_has_three_examples(finished) -> None:
    _, body = front(card.write(finished()).read_text())
    examples = body.split("## Examples")[1].split("\n## ")[0]
    codes = re.findall(r"^\| \w+ \| `(\w+)`", examples, re.MULTILINE)
    expected = ("unparsed", "failed_tests", "near_duplicate", "not_selected")
    assert codes == [code for code in expected for _ in range(3)]


def test_text_of_rows_stays_in_code_spans_of_its_cell(finished) -> None:
    _, body = front(card.write(finished()).read_text())
    hostile = [at for at in body.splitlines() if "<script>" in at]
    assert hostile
    for at in hostile:
        cells = re.split(r"(?<!\\)\|", at)
        assert len(cells) == 7
        assert not re.search("[<{\x1b\u202e]", re.sub(r"(`+).*?(?<!`)\1(?!`)", "", at))


@pytest.mark.parametrize("name", ["a: b\n---\nlicense: mit", "\u202e[x](y)", "- {{ 1 }} #"])
def test_a_name_cannot_break_the_front_matter(finished, name) -> None:
    path = finished()
    lock = yaml.safe_load((path / "recipe.lock.yaml").read_text())
    lock["recipe"]["name"] = name
    (path / "recipe.lock.yaml").write_text(yaml.safe_dump(lock))
    meta, _ = front(card.write(path).read_text())
    assert meta["license"] == "other"
    assert "\n" not in meta["pretty_name"]


def test_every_column_of_the_dataset_is_explained(finished) -> None:
    _, body = front(card.write(finished()).read_text())
    columns = body.split("## Columns")[1]
    for name in ("id", "instruction", "code", "scores.ifd.ppl", "verdicts.unit_tests.passed"):
        assert f"| `{name}` |" in columns
    assert "| `code` | `string` | brought by the seeds |" in columns


def test_the_recipe_beside_the_card_is_the_one_that_ran(finished) -> None:
    path = finished()
    card.write(path)
    ran = yaml.safe_load((path / "recipe.lock.yaml").read_text())["recipe"]
    assert yaml.safe_load((path / "dataset" / "recipe.yaml").read_text()) == ran


def test_the_recipe_beside_the_card_tells_nobody_where_our_files_lie(finished) -> None:
    path = finished()
    lock = yaml.safe_load((path / "recipe.lock.yaml").read_text())
    lock["recipe"]["seeds"] = {"path": ["/home/ada/a.jsonl", "b/c.csv", "hub:me/data"]}
    lock["recipe"]["engines"] = {"generator": {"use": "vllm", "model": "/home/ada/llama"}}
    lock["recipe"]["stages"] = [{"use": "filters.near_duplicates", "against": ["/home/ada/old"]}]
    (path / "recipe.lock.yaml").write_text(yaml.safe_dump(lock))
    card.write(path)
    told = yaml.safe_load((path / "dataset" / "recipe.yaml").read_text())
    named = ["YOUR_COPY_OF/a.jsonl", "YOUR_COPY_OF/c.csv", "hub:me/data"]
    assert told["seeds"]["path"] == named
    assert told["engines"]["generator"]["model"] == "YOUR_COPY_OF/llama"
    assert told["stages"][0]["against"] == ["YOUR_COPY_OF/old"]
    assert "/home/ada" not in (path / "dataset" / "recipe.yaml").read_text()


def rebuilding(path, seeds) -> str:
    """Return the part of the card about building again, for other seeds."""
    lock = yaml.safe_load((path / "recipe.lock.yaml").read_text())
    lock["recipe"]["seeds"] = seeds
    (path / "recipe.lock.yaml").write_text(yaml.safe_dump(lock))
    return front(card.write(path).read_text())[1].split("## Build it again\n")[1].split("\n## ")[0]


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ({"path": "stdlib", "use": "python_functions"}, ""),
        ({"path": ["shipped:a.jsonl", "hub:me/data"]}, ""),
        ({"path": "/home/ada/my rows.jsonl"}, " --input 'YOUR_COPY_OF/my rows.jsonl'"),
        (
            {"path": ["../a.jsonl", "https://x.org/b.jsonl"]},
            " --input YOUR_COPY_OF/a.jsonl --input https://x.org/b.jsonl",
        ),
        ({}, " --input YOUR_COPY_OF/rows"),
    ],
)
def test_the_command_that_builds_again_takes_a_copy_of_the_seeds(finished, seeds, words) -> None:
    assert f"```\nbuild-dataset run recipe.yaml{words}\n```\n" in rebuilding(finished(), seeds)


def test_the_command_that_builds_again_allows_what_the_recipe_imports(finished) -> None:
    path = finished()
    lock = yaml.safe_load((path / "recipe.lock.yaml").read_text())
    lock["recipe"]["stages"].insert(0, {"use": "mine.filters.short"})
    (path / "recipe.lock.yaml").write_text(yaml.safe_dump(lock))
    told = rebuilding(path, {"path": "stdlib"})
    assert "```\nbuild-dataset run recipe.yaml --allow-plugins\n```\n" in told


def test_the_seeds_are_named_with_their_digest(finished) -> None:
    given = {"files": [f"{i}.jsonl" for i in range(9)], "digest": "ab12"}
    told = rebuilding(finished(input=given), {"path": "folder"})
    assert "from `0.jsonl`, `1.jsonl`, `2.jsonl`, `3.jsonl`, `4.jsonl`, `5.jsonl`, " in told
    assert "`7.jsonl` and 1 more, with the digest `ab12`; " in told


def test_datasets_reads_the_folder_with_its_card(finished, tmp_path) -> None:
    datasets = pytest.importorskip("datasets")
    path = finished()
    card.write(path)
    loaded = datasets.load_dataset(str(path / "dataset"), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == ["train"]
    assert loaded["train"][0]["verdicts"]["unit_tests"]["status"]


def test_a_run_ends_with_its_card_its_report_and_every_format(
    recipe, engine, seeds, tmp_path
) -> None:
    datasets = pytest.importorskip("datasets")
    sets = ["export.card=true", "export.report=true", "export.formats=[messages, csv]"]
    split = "export.validation_rate=0.4"
    rows = [{**seed, "source": f"book {i}"} for i, seed in enumerate(seeds(40))]
    result = run(recipe(*sets, split), rows, {"generator": engine()}, workspace=tmp_path)
    assert audit(result.path) == []
    assert result.report.read_text().startswith("<!doctype html>")
    meta, body = front(unlinked((result.folder / "README.md").read_text()))
    assert [c["config_name"] for c in meta["configs"]] == ["default"]
    assert "| `exports/messages/validation.jsonl` | 2 |" in body
    assert "| `28 further sources` | `not stated` | 28 |" in body
    cache = str(tmp_path / "cache")
    loaded = datasets.load_dataset(str(result.folder), cache_dir=cache)
    assert {split: len(part) for split, part in loaded.items()} == {"train": 4, "validation": 2}
    turns = str(result.folder / "exports" / "messages" / "train.jsonl")
    loaded = datasets.load_dataset("json", data_files=turns, cache_dir=cache)
    assert loaded["train"][0]["messages"][0]["role"] == "user"


def test_counts_that_an_older_run_lacks_are_left_out(finished) -> None:
    path = finished()
    note = json.loads((path / "ledger.json").read_text())
    for name in ("roles", "input"):
        del note[name]
    (path / "costs" / "1-1.json").unlink()
    (path / "ledger.json").write_text(json.dumps(note))
    _, body = front(card.write(path).read_text())
    assert "could not be read" not in body
    assert "calls made" not in body
    assert "| generator | vllm | `demo` |  |  | `vllm:1` |" in body


def test_what_the_exports_left_out_is_told(finished) -> None:
    path = finished()
    note = json.loads((path / "ledger.json").read_text())
    note["dataset"] = {"exports/alpaca/train.jsonl": 3}
    (path / "ledger.json").write_text(json.dumps(note))
    told = {"left_out": {"tools": 2, "no answer": 1}, "cut": 4, "without_system": 0}
    (path / "dataset" / "exports").mkdir()
    (path / "dataset" / "exports" / "notes.json").write_text(json.dumps({"exports/a": told}))
    _, body = front(unlinked(card.write(path).read_text()))
    assert (
        "|\n\n- Rows that `exports/a` does not have as they are: left out (tools) 2, "
        "left out (no answer) 1, cut after the last answer 4.\n"
    ) in body
    assert "the answer; of a conversation, what the assistant says last |" in body


def test_an_unfinished_run_is_refused(finished, tmp_path) -> None:
    path = finished()
    (path / "ledger.json").unlink()
    with pytest.raises(InputError, match=r"an unfinished run \(no ledger.json\).*run its recipe"):
        card.write(path)
    with pytest.raises(InputError, match="found no run"):
        card.write(tmp_path / "nothing")


def test_the_card_is_written_after_all_that_lies_beside_it(finished) -> None:
    path = finished()
    (path / "dataset" / "marks.jsonl").mkdir()  # what cannot be replaced ends it half-way
    with pytest.raises(OSError, match="marks"):
        card.write(path)
    assert not (path / "dataset" / "README.md").exists()


def test_judges_of_their_own_family_are_a_limit(finished) -> None:
    told = "rubric: judge judges what first wrote"
    run_dir = finished()
    calibration.save(run_dir, {}, [told])
    assert f"- {told}.\n" in card.write(run_dir).read_text().partition("## Known limits")[2]
