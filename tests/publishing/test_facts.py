from typing import ClassVar

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from gristmill import Recipe, run
from gristmill.engines.attending import Attend, Attended
from gristmill.engines.base import Engine
from gristmill.engines.requests import Op
from gristmill.publishing import card, facts, maps, report
from gristmill.publishing.files import RunFiles
from gristmill.publishing.said import texts

KEY = "AKIA" + "Q7RT2LMPZX5NVBC9"


def test_children_that_inherit_a_score_are_not_counted_as_scored(
    recipe, engine, seeds, tmp_path
) -> None:
    made = recipe()
    _, _, responses, majority, count, longest = made.stages
    made = made.model_copy(update={"stages": [count, responses, majority, longest]})
    rows = [{**seed, "output": "some words"} for seed in seeds()]
    result = run(made, rows, {"generator": engine()}, workspace=tmp_path)
    files = RunFiles.open(result.path)
    assert len(files.rows.filter(pl.col("stage") == "responses")) > 12
    assert files.numbers("scores.word_count.words")["value"].to_list() == [2.0] * 12


def test_seeds_are_counted_once_in_a_run_of_rounds(recipe, engine, seeds, tmp_path) -> None:
    rows = [{**seed, "source": "b" if i % 3 else "a"} for i, seed in enumerate(seeds())]
    made = recipe("rounds.n=2")
    result = run(made, rows, {"generator": engine()}, workspace=tmp_path)
    assert facts.sources(RunFiles.open(result.path)) == [
        ("b", "not stated", 8),
        ("a", "not stated", 4),
    ]


def test_many_sources_are_told_by_licence(finished, monkeypatch) -> None:
    many = [("a", "MIT", 9), ("b", "MIT", 5), ("c", "GPL", 4), ("d", "MIT", 1), ("e", "GPL", 1)]
    monkeypatch.setattr(facts, "MOST_SOURCES", 2)
    monkeypatch.setattr(facts, "sources", lambda run: many)
    assert facts.first_sources(RunFiles.open(finished())) == [
        *many[:2],
        ("2 further sources", "GPL", 5),
        ("1 further source", "MIT", 1),
    ]


def test_failed_rows_show_the_last_line_of_their_traceback(recipe, engine, seeds, tmp_path) -> None:
    def broken(prompt: str, draw: int) -> str:
        if "topic 5" in prompt:
            raise ZeroDivisionError("no <b>answer</b>")
        return "Explain it well. 1"

    made = recipe("max_error_rate=1")
    result = run(made, seeds(), {"generator": engine(answer=broken)}, workspace=tmp_path)
    found = facts.lost_examples(RunFiles.open(result.path), 3)
    assert [e.detail for e in found["evol_instruct", "failed"]] == [
        "ZeroDivisionError: no <b>answer</b>"
    ]
    page = report.write(result.path).read_text()
    assert "ZeroDivisionError: no &lt;b&gt;answer&lt;/b&gt;" in page
    assert "<b>failed</b> <span>1 at evol_instruct" in page
    assert "`ZeroDivisionError: no <b>answer</b>`" in card.write(result.path).read_text()


def test_the_map_keeps_the_distances_along_the_main_directions(finished) -> None:
    files = RunFiles.open(finished(60))
    found = maps.embeddings(files)
    assert found
    lines = files.scan().filter(pl.col("scores").struct.field("embedding").is_not_null())
    table = lines.collect().unique("id", keep="last").sort("id")
    vectors = np.stack([row["embedding"]["vector"] for row in table["scores"]])
    centred = vectors - vectors.mean(axis=0)
    values = np.linalg.eigvalsh(centred.T @ centred)[::-1]
    np.testing.assert_allclose((found.places**2).sum(axis=0), values[:2], rtol=1e-3)
    assert found.shown == pytest.approx(values[:2].sum() / values.sum(), rel=1e-3)
    kept = set(pq.read_table(files.data[0])["id"].to_pylist())
    assert found.is_kept == [i in kept for i in table["id"]]


class Looks(Engine):
    """Looks at the first question of two."""

    ops: ClassVar[frozenset[Op]] = frozenset({"attend"})

    @property
    def identity(self) -> str:
        return "looks"

    async def attend(self, request: Attend) -> Attended:
        return Attended([0.5, None], 9, cut=True)


def test_scores_of_turns_are_no_embedding(tmp_path) -> None:
    said = [{"role": role, "content": "Yes."} for role in ("user", "assistant")] * 2
    made = Recipe(name="turns", stages=[{"use": "scorers.context_dependency"}])
    rows = [{"messages": [*said, {"role": "user", "content": str(i)}]} for i in range(12)]
    result = run(made, rows, {"probe": Looks()}, workspace=tmp_path)
    assert maps.embeddings(RunFiles.open(result.path)) is None


def test_a_map_of_many_rows_shows_the_kept_ones_first(finished, monkeypatch) -> None:
    monkeypatch.setattr(maps, "MOST_POINTS", 10)
    found = maps.embeddings(RunFiles.open(finished(60)))
    assert found
    assert (len(found.places), sum(found.is_kept), found.total > 10) == (10, 5, True)


def test_a_row_that_new_rows_replaced_is_not_on_the_map(finished) -> None:
    path = finished(60)
    before = maps.embeddings(RunFiles.open(path))
    assert before
    gone = before.ids[before.is_kept.index(False)]
    for shard in path.glob("shards/*/*.parquet"):
        table = pq.read_table(shard)
        told = zip(table["id"].to_pylist(), table["end"].to_pylist(), strict=True)
        ends = pa.array(["expanded" if row == gone else end for row, end in told], pa.string())
        place = table.schema.get_field_index("end")
        pq.write_table(table.set_column(place, "end", ends.cast(table["end"].type)), shard)
    after = maps.embeddings(RunFiles.open(path))
    assert after
    assert after.ids == [row for row in before.ids if row != gone]
    assert (after.total, sum(after.is_kept)) == (before.total - 1, sum(before.is_kept))


def test_no_topic_of_the_map_is_named_by_what_a_filter_masks(finished) -> None:
    path = finished(60)
    for shard in path.glob("shards/*/*.parquet"):
        table = pq.read_table(shard)
        said = pa.array(["ada@lovelace.net"] * len(table))
        place = table.schema.get_field_index("instruction")
        pq.write_table(table.set_column(place, "instruction", said), shard)
    lock = yaml.safe_load((path / "recipe.lock.yaml").read_text())
    lock["recipe"]["stages"] += [{"use": "filters.personal_data"}]
    (path / "recipe.lock.yaml").write_text(yaml.safe_dump(lock))
    found = maps.embeddings(RunFiles.open(path))
    assert found
    assert {topic.terms for topic in found.topics} == {("email",)}


def test_texts_of_a_row_are_its_own_its_turns_or_the_users() -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None}]
    assert list(texts({"id": "1", "instruction": "a", "messages": turns, "code": "x"})) == [
        ("instruction", "a")
    ]
    assert list(texts({"id": "1", "messages": turns, "code": "x"})) == [
        ("user", "Hi"),
        ("assistant", ""),
    ]
    assert list(texts({"id": "1", "end": "kept", "lang": "en", "code": "x", "n": 3})) == [
        ("code", "x")
    ]


def test_a_conversation_is_shown_with_every_turn_and_what_it_carries() -> None:
    said = [("system", "Be brief."), ("user", "Hi."), ("assistant", "Hello."), ("user", "Weather?")]
    turns = [{"role": role, "content": text, "extra": None} for role, text in said]
    call = '{"tool_calls": [{"function": {"name": "weather"}}]}'
    turns += [
        {"role": "assistant", "content": None, "extra": call},
        {"role": "assistant", "content": "Sunny.", "extra": None},
    ]
    row = {"id": "1", "instruction": "Hi.", "output": "Sunny.", "messages": turns}
    assert facts.example(row).texts == [*said, ("assistant", call), ("assistant", "Sunny.")]
    pair = {**row, "messages": turns[:4], "chosen": "Sunny.", "rejected": "Why?"}
    names = [name for name, _ in facts.example(pair).texts]
    assert names[:4] == ["system", "user", "assistant", "user"]
    assert names[-2:] == ["chosen", "rejected"]
    rewritten = {**row, "output": "It is sunny."}
    assert [name for name, _ in facts.example(rewritten).texts] == ["instruction", "output"]
    plain = {**row, "messages": [turns[1], turns[-1]]}
    assert [name for name, _ in facts.example(plain).texts] == ["instruction", "output"]
    alone = {"id": "1", "messages": turns[1:3]}
    assert facts.example(alone).texts == said[1:3]


@pytest.mark.parametrize(
    ("action", "shown"), [("drop", "[AWS_KEY]"), ("mask", "[AWS_KEY]"), ("flag", KEY)]
)
def test_a_row_that_left_before_a_filter_is_masked_as_that_one_would(
    tmp_path, action, shown
) -> None:
    stages = [
        {"use": "filters.length", "min_chars": 100},
        {"use": "filters.secrets", "action": action},
        {"use": "filters.personal_data", "kinds": ["email"]},
    ]
    rows = [{"instruction": f"Log in with {KEY}.", "output": "Ask ada@lovelace.net about it."}]
    rows += [{"instruction": "Say it at length. " * 6, "output": "At length."}]
    result = run(Recipe(name="any", stages=stages), rows, workspace=tmp_path)
    card_, report_ = (path.read_text() for path in (result.folder / "README.md", result.report))
    assert f"Log in with {shown}." in report_
    assert (KEY in card_, KEY in report_) == (action == "flag",) * 2
    assert "ada@" not in card_ + report_
    assert "Ask [EMAIL] about it." in report_
