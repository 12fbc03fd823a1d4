"""TPTU-v2: shortlists, examples that tell functions apart, and plans that are those of the row."""

import asyncio
import json

import numpy as np
import pyarrow as pa
import pytest

from gristmill.engines.client import Client
from gristmill.engines.requests import Completion
from gristmill.generators.tptu import Tptu
from gristmill.geometry.ranks import most_alike
from gristmill.pipelines import Context
from gristmill.storage.answers import Answers
from gristmill.text.contrasts import contrasting
from gristmill.text.openapi import endpoints

PATHS = {
    f"/{name}": {"get": {"operationId": name, "summary": "s"}} for name in ("sun", "sea", "sky")
}
API = json.dumps({"world": 0, "endpoints": endpoints({"info": {"title": "t"}, "paths": PATHS})})
SUN, SEA, SKY = "sun_for_t", "sea_for_t", "sky_for_t"
TOLD = {f"{SUN}: s": [[1, 0, 0]], f"{SEA}: s": [[0, 1, 0]], f"{SKY}: s": [[0, 0.8, 0.6]]}


def plan(*names: str) -> str:
    return json.dumps({"tasks": [{"task": f"Do {name}.", "function": name} for name in names]})


def decided(script, tmp_path, rows, table, **changes):
    answers = Answers(tmp_path / "answers")
    engine = script({**TOLD, **table})
    given = pa.table(
        {
            "id": [str(i) for i in range(len(rows))],
            "instruction": pa.array([text for text, _ in rows], pa.string()),
            "meta.tool_retrieval.functions": pa.array([n for _, n in rows], pa.list_(pa.string())),
            "meta.tool_retrieval.api": pa.array([API] * len(rows), pa.string()),
        }
    )
    roles = dict.fromkeys(("generator", "embedder"), Client(engine, answers))
    found = asyncio.run(Tptu(**changes).decide(given, Context(roles, 0, "label", "id")))
    answers.close()
    return found.to_pylist(), engine


def test_what_is_alike_is_told_apart_by_examples(script, tmp_path) -> None:
    rows = [("swim {now}", [SEA, SUN]), ("dive", [SEA]), ("fly", [SKY]), ("tan", [SUN])]
    table = {
        "### JSON": [plan(SEA, SUN), plan(SUN, SEA), plan(SKY, SKY), "{{no"],
        "That does not have": ["</s>"],
        "swim": [[0, 0.9, 0.1]],
        "dive": [[0, 1, 0]],
        "fly": [[0, 0.6, 0.8]],
        "tan": [[1, 0, 0]],
    }
    found, engine = decided(script, tmp_path, rows, table, n=2, k=3)
    assert [row["code"] for row in found] == [None, "other_functions", None, "bad_json"]
    assert found[0]["contrast"] == [SEA, SKY]
    assert [one["function"] for one in json.loads(found[0]["output"])] == [SEA, SUN]
    assert found[0]["input"].startswith('Functions:\n{"name": "')
    prompt = next(c for c in engine.calls if hasattr(c, "prompt")).prompt[0]["content"]
    shown = prompt.partition("### Examples\n")[2].partition("\n\n###")[0].split("\n")
    assert [json.loads(line) for line in shown] == [
        {"request": "dive", "functions": [SEA]},
        {"request": "fly", "functions": [SKY]},
    ]


def test_examples_are_the_nearest_rows_and_a_plan_lacks_nothing(script, tmp_path) -> None:
    rows = [("swim", [SEA, SUN]), ("tan", [SUN]), ("fly", [SKY]), ("row", [SEA])]
    table = {
        "### JSON": [plan(SEA), plan(SUN), plan(SKY), plan(SEA)],
        "swim": [[0.8, 0.6, 0]],
        "tan": [[1, 0, 0]],
        "fly": [[0, 0, 1]],
        "row": [[0, 1, 0]],
    }
    found, engine = decided(script, tmp_path, rows, table, n=2, k=2)
    assert [row["code"] for row in found] == ["other_functions", None, None, None]
    prompts = [call.prompt[0]["content"] for call in engine.calls if hasattr(call, "prompt")]
    shown = {
        text.partition("### Request\n")[2].split("\n")[0]: [
            json.loads(line)["request"]
            for line in text.partition("### Examples\n")[2].partition("\n\n###")[0].split("\n")
        ]
        for text in prompts
    }
    assert shown["swim"] == ["tan", "row"]
    assert shown["fly"] == ["s", "swim"], "nobody else uses the sky: its description"
    assert [row["contrast"] for row in found] == [None, [], [SKY, SEA], [SEA, SKY]]


def test_a_row_without_request_or_functions_leaves_alone(script, tmp_path) -> None:
    rows = [(None, [SUN]), ("tan", [SUN]), ("rest", None), ("nap", [])]
    table = {"### JSON": [plan(SUN)], "tan": [[1, 0, 0]]}
    found, _ = decided(script, tmp_path, rows, table)
    assert [row["code"] for row in found] == ["no_functions", None, "no_functions", "no_functions"]


def test_two_things_are_alike_from_a_threshold_on() -> None:
    things = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    assert most_alike([0, 1, 2], things, 0.8) == (1, 2)
    assert most_alike([0, 1], things, 0.6) == (0, 1)
    assert most_alike([0, 1], things, 0.7) == most_alike([0], things, 0) == ()


def test_what_is_not_found_or_cut_off_leaves(script, tmp_path) -> None:
    rows = [("swim", [SUN]), ("dive", [SEA])]
    cut = Completion(plan(SEA), "length", 9, 9)
    table = {"### JSON": [cut], "swim": [[0, 1, 0]], "dive": [[0, 1, 0]]}
    found, _ = decided(script, tmp_path, rows, table, k=2, min_similarity=0.9)
    assert [row["code"] for row in found] == ["not_shortlisted", "cut_off"]
    assert {row["code"] for row in found} <= Tptu.codes


@pytest.mark.parametrize(
    ("near", "pair", "wanted"),
    [
        ([1, 2, 3], ["a", "b"], [2, "b", 1, 3]),
        ([3, 2, 1], ["a", "c"], [2, 3, 1]),
        ([1, 2], [], [1, 2]),
        ([], ["a", "b"], ["a", "b"]),
    ],
)
def test_one_of_each_comes_first_and_a_name_where_there_is_none(near, pair, wanted) -> None:
    uses = [["z"], ["a", "b"], ["a"], ["c"]]
    assert contrasting(near, uses, pair) == wanted
