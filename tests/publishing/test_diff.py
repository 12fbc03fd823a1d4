"""Two versions of a dataset: which row is which, what differs, and what each column holds."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill import Recipe, run
from gristmill.errors import InputError
from gristmill.publishing import report
from gristmill.publishing.charts import NOTHING
from gristmill.publishing.diff import Diff, diff
from gristmill.publishing.files import RunFiles
from gristmill.publishing.matching import match
from gristmill.publishing.versions import Version
from gristmill.text.like_texts import like_pairs
from gristmill.text.shingles import shingles
from tests.publishing.conftest import HOSTILE

LONG = "Explain to a child of ten years how the tides of the sea follow the moon, and why"


def rows(*texts: str, **more: Any) -> list[dict[str, Any]]:
    """Rows with ids and roots of their places, such as `a0` and `root 0`."""
    return [
        {"id": f"a{i}", "root": f"root {i}", "instruction": text, "output": f"So {text}", **more}
        for i, text in enumerate(texts)
    ]


def test_figures_of_a_column_name_the_rows_that_give_them(version) -> None:
    old, new = rows("Say it.", "Say that.", "Say nothing."), rows("Say it.", "Say!", "Sing.")
    for row, score in zip(new, (2.0, float("nan"), -1.0), strict=True):
        row["scores"] = {"x": {"value": score}}
    for row, day in zip(new, (None, 2, 3), strict=True):
        row["day"] = day and datetime(2026, 1, day, tzinfo=UTC)
    found = {column.name: column for column in diff(version(old), version(new)).columns}
    asked = found["instruction"]
    assert [facts and facts.rows for facts in asked.facts] == [
        [("a0", 7), ("a1", 9), ("a2", 12)],
        [("a1", 4), ("a2", 5), ("a0", 7)],
    ]
    assert (asked.changed, asked.rows) == (
        2,
        [("a1", "Say that.", "Say!"), ("a2", "Say nothing.", "Sing.")],
    )
    score, day = found["scores.x.value"].facts[1], found["day"].facts[1]
    assert (score.rows, score.filled, score.mean) == ([("a2", -1), ("a0", 2)], 3, 0.5)
    assert (day.rows, day.filled, day.mean) == ([("a1", None)], 2, None)


@pytest.fixture
def version(tmp_path: Path):
    def make(rows: list[dict[str, Any]], schema: pa.Schema | None = None) -> Version:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}" / "data"
        folder.mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows, schema), folder / "train-0.parquet")
        return Version.of_folder(folder.parent)

    return make


def counts(found: Diff) -> dict[str, int]:
    return {n: getattr(found, n) for n in ("same", "noted", "changed", "added", "removed")}


def test_rows_are_told_apart_by_what_became_of_them(version) -> None:
    old = rows("Say one.", "Say two.", "Say three.", "Say four.", length={"x": 0.5})
    new = rows("Say one.", "Say two.", "Say three!", length={"x": 0.5})
    for version_, values in ((old, (1, 1, 1, 1)), (new, (1, 2, 1))):
        for row, value in zip(version_, values, strict=True):
            row["scores"] = {"ifd": {"value": float(value)}}
    new.append({**new[0], "id": "b0", "root": "root 9", "instruction": "Sing aloud."})
    found = diff(version(old), version(new))
    assert counts(found) == {"same": 1, "noted": 1, "changed": 1, "added": 1, "removed": 1}
    assert found.matched_by == {"id": 3, "text": 0, "likeness": 0}
    assert found.examples["added"] == [("b0", "Sing aloud.")]
    assert found.examples["removed"] == [("a3", "Say four.")]
    (changed,) = found.examples["changed"]
    assert (changed.ids, changed.texts[0]) == (
        ("a2", "a2"),
        ("instruction", "Say three.", "Say three!"),
    )
    by_name = {column.name: column.changed for column in found.columns}
    assert by_name == {
        "instruction": 1, "output": 1, "length.x": 0, "scores.ifd.value": 1,
    }  # fmt: skip


def test_rows_without_common_ids_are_matched_by_text_then_by_likeness(version) -> None:
    old = rows("Say one.", LONG, "Sing of three seas.", "Walk home now.")
    new = rows("Say one.", f"{LONG} not.", "Sing of three hills.", "Run, and do not look back.")
    for i, row in enumerate(new):
        row["id"] = f"b{i}"
    new[1]["root"] = "elsewhere"  # LONG: alike from any seed; the third only of one seed
    found = match(version(old), version(new))
    assert found.by == {"id": 0, "text": 1, "likeness": 2}
    assert sorted(zip(found.a.tolist(), found.b.tolist(), strict=True)) == [(0, 0), (1, 1), (2, 2)]
    new[2]["root"] = "elsewhere too"
    assert match(version(old), version(new)).by["likeness"] == 1


def test_children_of_one_seed_find_each_other_first(version) -> None:
    old = [{"id": "a", "root": "r", "instruction": LONG, "output": "1"},
           {"id": "b", "root": "s", "instruction": LONG, "output": "2"}]  # fmt: skip
    new = [{"id": "c", "root": "s", "instruction": LONG, "output": "3"},
           {"id": "d", "root": "r", "instruction": f"{LONG} so", "output": "4"}]  # fmt: skip
    found = match(version(old), version(new))
    assert sorted(zip(found.a.tolist(), found.b.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_equal_rows_are_matched_one_to_one(version) -> None:
    found = match(version([{"text": "x y"}] * 3), version([{"text": "x y"}] * 5))
    assert (found.by["text"], found.a.tolist(), found.b.tolist()) == (3, [0, 1, 2], [0, 1, 2])
    many = match(version(rows(*[LONG] * 40)), version([{**r, "id": r["id"] + "x", "output": "?"}
                                                       for r in rows(*[LONG] * 50)]))  # fmt: skip
    assert many.by["likeness"] == 40


def test_of_many_that_are_alike_most_find_another(version) -> None:
    words = " ".join(f"word{i}" for i in range(60))
    texts = ([f"{words} {side}{i}" for i in range(40)] for side in "ab")
    a, b = (version([{"instruction": text} for text in some]) for some in texts)
    assert diff(a, b).changed > 30  # if all were shown the same few rows, 4 would


def test_columns_are_counted(version) -> None:
    old = version(
        [
            {"id": "a", "text": "ab", "n": 1, "is_good": True, "tags": ["x"]},
            {"id": "b", "text": "abcd", "n": 4, "is_good": None, "tags": []},
            {"id": "c", "text": None, "n": 7, "is_good": False, "tags": ["x", "y"]},
        ]
    )
    new = version([{"id": "a", "text": "ab", "n": 1.5, "extra": "new"}])
    found = diff(old, new)
    by_name = {column.name: column for column in found.columns}
    assert by_name["text"].facts[0].__dict__ == {
        "filled": 2, "mean": 3.0, "low": 2.0, "median": 3.0, "high": 4.0,
        "rows": [("a", 2.0), ("b", 4.0)],
    }  # fmt: skip
    assert [f and f.mean for f in by_name["n"].facts] == [4.0, 1.5]
    assert by_name["n"].types == ("int64", "double")
    assert by_name["n"].changed == 1, "1 and 1.5 are compared as numbers"
    assert [f and f.mean for f in by_name["is_good"].facts] == [0.5, None]
    assert by_name["tags"].facts[0].high == 2
    assert by_name["extra"].types == (None, "string")
    assert by_name["extra"].changed is None


def test_columns_that_are_empty_in_both_are_left_out(version) -> None:
    schema = pa.schema({"id": pa.string(), "text": pa.string(), "lang": pa.string()})
    old = [{"id": "a", "text": "x"}, {"id": "b", "text": "y"}]
    assert [c.name for c in diff(version(old, schema), version(old, schema)).columns] == ["text"]
    new = [{**row, "lang": "en"} for row in old]
    found = diff(version(old, schema), version(new, schema))
    assert [(c.name, c.changed) for c in found.columns] == [("text", 0), ("lang", 2)]


def test_a_run_that_its_error_rate_stopped_has_nothing_to_compare(finished) -> None:
    path = finished(stop="error_rate")
    with pytest.raises(InputError, match="has no dataset: too many rows failed; run its recipe"):
        Version.of_run(path)


def test_an_empty_dataset_is_compared_too(version) -> None:
    empty = version([], pa.schema({"id": pa.string(), "instruction": pa.string()}))
    full = version(rows("Say one."))
    assert counts(diff(empty, full)) == dict.fromkeys(("same", "noted", "changed"), 0) | {
        "added": 1, "removed": 0,
    }  # fmt: skip
    assert counts(diff(full, empty))["removed"] == 1
    assert counts(diff(empty, empty))["same"] == 0


def test_versions_without_a_common_column_are_refused(version) -> None:
    with pytest.raises(InputError, match=r"no column in common .* \['question'\].*\['text'\]"):
        diff(version([{"question": "Why?"}]), version([{"text": "So."}]))


def test_a_file_that_was_edited_into_no_parquet_is_refused(version, tmp_path) -> None:
    version(rows("Say one."))
    (tmp_path / "0" / "data" / "train-0.parquet").write_text("edited")
    with pytest.raises(InputError, match=r"cannot be read: .*; was a file of it edited by hand"):
        Version.of_folder(tmp_path / "0")
    with pytest.raises(InputError, match="has no Parquet files; expected a run"):
        Version.of_folder(tmp_path)


def test_a_dataset_on_the_hub_is_read_with_all_its_splits(version, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "hub").mkdir()
    for split, texts in (("train", ("Say one.", "Say two.")), ("test", ("Say three.",))):
        pq.write_table(pa.Table.from_pylist(rows(*texts)), tmp_path / "hub" / f"{split}.parquet")
    hub = Version.of_hub(f"hub:{tmp_path / 'hub'}")
    assert hub.n == 3
    assert counts(diff(hub, version(rows("Say one.", "Say two."))))["removed"] == 1
    with pytest.raises(InputError, match="hub:nobody/nothing cannot be loaded"):
        Version.of_hub("hub:nobody/nothing@v1")


def test_two_runs_are_compared_stage_by_stage_and_in_the_report(
    recipe, engine, seeds, tmp_path
) -> None:
    a, b = (
        run(recipe(*sets), seeds(n), {"generator": engine()}, workspace=tmp_path)
        for n, sets in ((12, ()), (16, ("stages.1.min_chars=40",)))
    )
    found = diff(Version.of_run(a.path), Version.of_run(b.path))
    assert found.funnel is not None
    for at in found.funnel:
        for side, result in (("a", a), ("b", b)):
            (line,) = (x for x in result.ledger if x["stage"] == at["stage"])
            assert (at[side]["in"], at[side]["kept"]) == (line["in"], line["kept"])
    for result, alone in ((a, found.removed), (b, found.added)):
        assert result.dataset.num_rows == found.same + found.noted + found.changed + alone
    json.dumps(found.as_dict())
    page = report.write(b.path, found).read_text()
    assert '<section id="against">' in page
    assert f"added <b>{found.added}</b>" in page
    assert f"From <code>runs/{a.path.name}</code>" in page
    assert str(tmp_path) not in page
    section = page.partition('<section id="against">')[2].partition("</section>")[0]
    figures = re.findall(r'<td class="right">(.*?)</td>', section)
    assert all(
        figure.startswith('<a href="#') for figure in figures if figure not in ("0", NOTHING)
    )
    links = set(re.findall(r'<a href="#(.*?)"', section))
    assert {link.partition("-")[0] for link in links} == {"against", "before", "rows"}
    assert links <= set(re.findall(r' id="(.*?)"', page))
    stage = a.ledger[1]["stage"]
    older = section.partition(f"<b>{stage}</b>")[2].partition("</details>")[0]
    ids = set(re.findall(r"<code>(\w{12})</code>", older))
    assert ids
    assert ids <= {i[:12] for i in RunFiles.open(a.path).rows["id"]}
    assert '<section id="against">' not in report.write(b.path).read_text()


def test_text_of_rows_makes_no_element_in_the_section(finished, version) -> None:
    path = finished()
    mine = pq.read_table(path / "dataset" / "data").to_pylist()
    changed = [{**row, "instruction": f"{row['instruction']} {HOSTILE}"} for row in mine[:5]]
    page = report.write(path, diff(version(changed), Version.of_run(path))).read_text()
    assert "<script" not in page
    assert "<img" not in page
    assert page.count("&lt;script&gt;") > 5
    assert not set(page) & set("\x1b\x07\u202e")


def test_what_a_later_version_masks_is_not_said_of_the_older_one(tmp_path) -> None:
    texts = [f"Write to ada{i}@lovelace.net about the engine of numbers." for i in range(3)]
    recipes = [
        Recipe(name="letters", stages=[{"use": "filters.personal_data", "action": action}])
        for action in ("flag", "mask", "drop")
    ]
    old, masked, dropped = (
        Version.of_run(run(recipe, rows(*texts), workspace=tmp_path).path) for recipe in recipes
    )
    changed = diff(old, masked)
    assert (changed.changed, changed.examples["changed"][0].texts[0][1:]) == (
        3,
        ("Write to [EMAIL] about the engine of numbers.",) * 2,
    )
    assert "lovelace" not in json.dumps(changed.as_dict())
    assert dropped.n == 0
    assert [text for _, text in diff(old, dropped).examples["removed"]] == [
        "not shown: personal_data"
    ] * 3


TEXTS = st.lists(
    st.sampled_from([f"{LONG} {i % 3} {i % 5} {i // 2}" for i in range(40)] + ["", "a"])
)


@settings(max_examples=40)
@given(TEXTS, TEXTS)
def test_pairs_of_like_texts_are_those_of_a_plain_comparison(one, other) -> None:
    one, other = (sorted(set(texts) - {""})[:4] for texts in (one, other))
    if not (one and other):
        return
    cut = [shingles(texts, "words", 2) for texts in (one, other)]
    apart = tuple(np.zeros(len(texts), np.uint64) for texts in (one, other))
    shares, *places = (part.tolist() for part in like_pairs(*cut, 0.5, apart))
    found = dict(zip(zip(*places, strict=True), shares, strict=True))
    plain = {}
    for i in range(len(one)):
        for j in range(len(other)):
            a, b = (set(cut[s][k].tolist()) for s, k in ((0, i), (1, j)))
            if (share := len(a & b) / len(a | b)) >= 0.5:
                plain[i, j] = share
    assert found == pytest.approx(plain)
