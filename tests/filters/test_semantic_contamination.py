"""The stage on a tiny set with scripted vectors, then on rephrased rows of real benchmarks."""

import asyncio
import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from contamination import rephrased

from gristmill.engines.client import Client
from gristmill.engines.requests import Vector
from gristmill.engines.sentence_transformers import SentenceTransformers
from gristmill.filters.semantic_contamination import SemanticContamination
from gristmill.formats.benchmarks import add, rows_of
from gristmill.pipelines.context import Context
from gristmill.storage.answers import Answers
from gristmill.text.turns import Texts

TINY = Path(__file__).parents[1] / "data" / "benchmarks.json"
DATA = Path(os.environ.get("GRISTMILL_DATA", "nowhere"))
BIRDS = "A girl owns 7 geese and 11 ducks at a mill; what is the sum of her birds?"
TREES = "Which trees grow well in dry and salty soil near the sea coast?"


def vector(degrees: float) -> Vector:
    return Vector(np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]), 9, False)


@pytest.fixture
def decide(tmp_path):
    def call(engine, rows, **changes) -> list[dict]:
        stage = SemanticContamination(**{"benchmarks": ("tiny",), "registry": str(TINY), **changes})
        columns = {name: [row.get(name) for row in rows] for name in Texts.__annotations__}
        table = pa.table({"id": [f"r{i}" for i in range(len(rows))], **columns})
        answers = Answers(tmp_path / "answers")

        async def go() -> pa.Table:
            return await stage.decide(
                table, Context({"embedder": Client(engine, answers)}, 0, "label", "id")
            )

        try:
            return asyncio.run(go()).to_pylist()
        finally:
            answers.close()

    return call


def test_a_row_that_says_the_same_leaves_with_its_evidence(decide, script) -> None:
    engine = script({"Mina": [vector(0)], "A girl": [vector(20)], "trees": [vector(60)]})
    rows = [{"instruction": TREES, "output": "Pines."}, {"instruction": BIRDS}, {"output": BIRDS}]
    lines = decide(engine, rows, threshold=0.9)
    assert [line["keep"] for line in lines] == [True, False, False]
    # The cosine of 20 degrees.
    assert lines[1]["detail"] == "tiny by embedding, row tiny/1: cosine 0.940"
    assert {line["code"] for line in lines} == {None, "contaminated"}


def test_at_another_limit_it_stays(decide, script) -> None:
    engine = script({"Mina": [vector(0)], "A girl": [vector(20)]})
    assert decide(engine, [{"instruction": BIRDS}], threshold=0.95)[0]["keep"]


def test_short_texts_are_not_compared(decide, script) -> None:
    engine = script({"Mina": [vector(0)]})
    rows = [{"instruction": "Count seven geese and eleven ducks now."}, {"messages": []}]
    assert all(line["keep"] for line in decide(engine, rows))


def test_on_request_the_row_stays_with_a_flag(decide, script) -> None:
    engine = script({"Mina": [vector(0)], "A girl": [vector(5)], "trees": [vector(90)]})
    rows = [{"instruction": BIRDS, "flags": ["old"]}, {"instruction": TREES, "flags": None}]
    lines = decide(engine, rows, action="flag")
    assert [line["keep"] for line in lines] == [True, True]
    assert lines[0]["flags"] == ["old", "contaminated"]
    assert lines[0]["hit"].startswith("tiny by embedding, row tiny/1: cosine 0.996")
    assert (lines[1]["flags"], lines[1]["hit"]) == ([], None)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="GRISTMILL_DATA names no folder")
def test_rephrased_questions_are_found_and_other_rows_are_not(decide, tmp_path) -> None:
    """Of 170 such questions 81 % were, and one of 480 public rows."""
    lines = (DATA / "gsm8k/test.jsonl").read_text().splitlines()[::90]
    (tmp_path / "some.jsonl").write_text("\n".join(lines))
    registry = tmp_path / "benchmarks.json"
    add(registry, "gsm8k", str(tmp_path / "some.jsonl"), {})
    copies = [{"instruction": rephrased(row.question)} for row in rows_of(registry, "gsm8k")]
    real = json.loads((DATA / "alpaca/random_9k.json").read_text())[:15]
    engine = SentenceTransformers()
    found = decide(engine, [*copies, *real], benchmarks=("gsm8k",), registry=str(registry))
    gone = [not line["keep"] for line in found]
    assert sum(gone[: len(copies)]) >= 0.75 * len(copies)
    assert sum(gone[len(copies) :]) == 0
