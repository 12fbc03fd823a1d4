"""ToolBank, Tool2Vec and QTA: instructions for tools, and how well tools are found."""

import asyncio
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.engines.client import Client
from gristmill.engines.requests import Completion
from gristmill.formats.readers import SeedSpec, read
from gristmill.generators.qta import Qta
from gristmill.generators.tool_retrieval import ToolRetrieval
from gristmill.geometry.ranks import gain, is_sufficient, places, recall
from gristmill.pipelines import Context, Drop
from gristmill.scorers.tool2vec import Tool2vec
from gristmill.scorers.tool_refiner import ToolRefiner
from gristmill.storage.answers import Answers
from gristmill.text.openapi import endpoints
from gristmill.text.tool_calls import api_of

POOLS = read(SeedSpec(use="openapi", path="shipped:apis")).rows[1]
LIST, LANES = "list_pools_for_public_pools", "free_lanes_for_public_pools"


def draft(*functions: str, text: str = "Do {it}, then that.") -> str:
    return json.dumps({"instruction": text, "functions": functions, "explanation": "e"})


def polished(text: str) -> str:
    return json.dumps({"reasoning": "r", "instruction": text})


POLISH, WRITE = "Rewrite an instruction", "Write one instruction"


def test_an_instruction_is_written_polished_and_shown_to_the_next(ask, script) -> None:
    engine = script(
        {
            POLISH: [polished("Do it all."), polished(f"Call {LIST}.")],
            WRITE: [draft(LIST, LANES, LIST), draft("fly"), draft(LIST), "{{no}}", ""],
            "": ["</s>"],
        }
    )
    first, *lost = ask(ToolRetrieval(n=5), POOLS, engine)
    assert (first["instruction"], first["functions"]) == ("Do it all.", [LIST, LANES])
    assert (first["draft"], first["explanation"]) == ("Do {it}, then that.", "e")
    assert len(api_of(first["api"])["endpoints"]) == 3
    assert [drop.code for drop in lost] == [
        "foreign_function",
        "names_function",
        "bad_json",
        "empty",
    ]
    assert {drop.code for drop in lost} <= ToolRetrieval.codes
    prompts = [
        call.prompt[0]["content"] for call in engine.calls if WRITE in call.prompt[0]["content"]
    ]
    assert all(prompt.count('"explanation": "') == 4 for prompt in prompts), "three and the form"
    assert not any("Do it all." in prompt for prompt in prompts[:1])


def test_functions_that_were_used_less_are_drawn_more_often(ask) -> None:
    def answer(prompt: str, draw: int) -> str:
        if prompt.startswith(POLISH):
            return polished("Do it.")
        told = prompt.partition("### Functions")[2]
        return draft(LIST if LIST in told else told.split('{"name": "')[1].split('"')[0])

    prompts = []

    def kept(prompt: str, draw: int) -> str:
        prompts.append(prompt)
        return answer(prompt, draw)

    rows = ask(ToolRetrieval(n=160, n_functions=2, apis="shipped:apis"), POOLS, kept)
    drawn = [[one["name"] for one in api_of(row["api"])["endpoints"]] for row in rows]
    n_uses = sum(row["functions"] == [LIST] for row in rows)
    assert 0 < n_uses < 19, "of 16 functions, 2 at a time, an even draw would have it 20 times"
    assert len({name for names in drawn for name in names}) == 16
    shown = [x.partition("### Functions")[0] for x in prompts if x.startswith(WRITE)]
    assert "Do it." not in shown[0]
    assert sum("Do it." in text for text in shown) > 120, "what was written is an example later"


def test_places_and_what_they_are_worth() -> None:
    tools = np.array([[1, 0], [0.6, 0.8], [0, 1], [0.6, 0.8]], np.float32)
    assert places(np.array([1, 0], np.float32), tools, [0, 3]) == [1, 3], "of equals the first"
    assert recall([1, 3], 2) == 0.5
    assert (is_sufficient([1, 3], 2), is_sufficient([1, 3], 3)) == (False, True)
    assert gain([1, 2]) == 1
    assert gain([2]) == pytest.approx(1 / np.log2(3))
    assert gain([1, 3]) == pytest.approx(1.5 / (1 + 1 / np.log2(3)))


@settings(max_examples=30)
@given(st.sets(st.integers(1, 12), min_size=1))
def test_sufficiency_is_no_more_than_recall_and_grows_with_k(found) -> None:
    steps = [(is_sufficient(sorted(found), k), recall(sorted(found), k)) for k in range(13)]
    assert all(is_all <= share for is_all, share in steps)
    assert steps == sorted(steps)


PATHS = {
    f"/{name}": {"get": {"operationId": name, "summary": "s"}} for name in ("sun", "sea", "sky")
}
API = json.dumps({"world": 0, "endpoints": endpoints({"info": {"title": "t"}, "paths": PATHS})})
SUN, SEA, SKY = "sun_for_t", "sea_for_t", "sky_for_t"
ROW = {
    "instruction": "Is it {warm}?",
    "meta.tool_retrieval.functions": [SUN],
    "meta.tool_retrieval.api": API,
}
VECTORS = {"sun_for_t: s": [[1, 0, 0]], "sea_for_t: s": [[0, 1, 0]], "sky_for_t: s": [[0, 0, 1]]}


def test_the_best_and_the_worst_rewrite_are_a_pair(ask, script) -> None:
    said = {"### Rewrite": ["To the sun", " Sea, sky ", "To the sun", ""]}
    sought = {"To the sun": [[0.9, 0.1, 0]], "Sea, sky": [[0, 0.6, 0.8]]}
    row = ask(Qta(n=4, k=1), ROW, script({**said, **VECTORS, **sought}))
    assert (row["chosen"], row["rejected"], row["sufficient"]) == ("To the sun", "Sea, sky", True)
    assert row["rewrites"] == ["To the sun", "Sea, sky"]
    assert row["gains"] == [1.0, pytest.approx(0.5)]
    assert row["margin"] == pytest.approx(0.5)
    assert row["prompt"].endswith("### Request\nIs it {warm}?\n\n### Rewrite")


@pytest.mark.parametrize(
    ("replies", "code"),
    [
        (["same", "same"], "all_equal"),
        (["", " "], "empty"),
        ([Completion("x", "length", 9, 9)] * 2, "cut_off"),
    ],
)
def test_without_a_better_one_there_is_no_pair(ask, script, replies, code) -> None:
    table = {"### Rewrite": replies}
    if code == "all_equal":
        table |= {**VECTORS, "same": [[1, 0, 0]]}
    drop = ask(Qta(n=2), ROW, script(table))
    assert drop.code == code
    assert code in Qta.codes


def test_a_function_that_there_is_not_is_no_aim(ask, script) -> None:
    drop = ask(Qta(), {**ROW, "meta.tool_retrieval.functions": ["fly"]}, script({}))
    assert isinstance(drop, Drop)
    assert drop.code == "unknown_function"


def test_a_tool_is_what_others_ask_of_it_once_enough_do(script, tmp_path) -> None:
    rows = [("a", [SUN]), ("b", [SUN]), ("c", [SUN]), ("d", [SEA, SKY])]
    # Everybody asks for the sun in the words that describe the sea.
    sun, sky = [[0, 0.8, 0.6]], [[0, 0, 1]]
    sought = {"a": sun, "b": sun, "c": sun, "d": sky}
    table = pa.table(
        {
            "id": [str(i) for i in range(4)],
            "instruction": [text for text, _ in rows],
            "meta.tool_retrieval.functions": [names for _, names in rows],
            "meta.tool_retrieval.api": [API] * 4,
        }
    )

    def scored(**changes):
        answers = Answers(tmp_path / f"answers{changes}")
        engine = script({**VECTORS, **sought})
        context = Context({"embedder": Client(engine, answers)}, 0, "label", "id")
        found = asyncio.run(Tool2vec(**changes).decide(table, context)).to_pydict()
        answers.close()
        return found

    found = scored(k=1, m=2)
    assert found["recall"] == [1.0, 1.0, 1.0, 0.5]
    assert found["recall_by_description"] == [0.0, 0.0, 0.0, 0.5]
    assert found["by_use"] == [1, 1, 1, 0]
    assert found["sufficient"] == [True, True, True, False]
    assert scored(k=1, m=3)["recall"] == [0.0, 0.0, 0.0, 0.5], "two others are too few"


def many(order: list[int]) -> tuple[pa.Table, dict[str, list[list[float]]]]:
    """Return rows, and the vectors of their words: one in three asks for each function."""
    names, axes = [SUN, SEA, SKY], np.eye(3)[[1, 2, 0]]  # everybody's words are another's own
    said = {f"ask {i:02d}.": (axes[i % 3] + 0.1 * np.sin(np.arange(3) + i)).tolist() for i in order}
    table = pa.table(
        {
            "id": [str(i) for i in [*order, 99]],
            "instruction": [*said, None],
            "meta.tool_retrieval.functions": [*([names[i % 3]] for i in order), None],
            "meta.tool_retrieval.api": [API] * (len(order) + 1),
        }
    )
    return table, {text: [vector] for text, vector in said.items()}


def test_functions_are_found_by_what_was_learnt_of_other_rows(script, tmp_path) -> None:
    def scored(order: list[int]) -> dict[str, list[object]]:
        table, said = many(order)
        answers = Answers(tmp_path / f"answers{order[0]}")
        context = Context({"embedder": Client(script({**VECTORS, **said}), answers)}, 0, "x", "id")
        found = asyncio.run(ToolRefiner(k=1, m=2, folds=3).decide(table, context)).to_pydict()
        answers.close()
        return found

    found, turned = scored([*range(45)]), scored([*range(44, -1, -1)])
    for name in ("recall", "recall_by_classifier", "recall_by_use"):
        assert found[name] == [1.0] * 45 + [None], "by descriptions alone it would be 0"
    assert found["sufficient"] == [True] * 45 + [None]
    assert found["tools"] == [[[SUN], [SEA], [SKY]][i % 3] for i in range(45)] + [None]
    assert turned["tools"] == [*found["tools"][:45][::-1], None]


@pytest.mark.parametrize(
    ("first", "found"), [(1, (0.0, False, [SUN])), (3, (1.0, True, [SUN, SEA]))]
)
def test_a_row_alone_has_descriptions_and_what_is_not_near_is_not_found(
    first, found, script, tmp_path
) -> None:
    table = pa.table(
        {
            "id": ["a"],
            "instruction": ["Is it warm?"],
            "meta.tool_retrieval.functions": [[SEA]],
            "meta.tool_retrieval.api": [API],
        }
    )
    answers = Answers(tmp_path / "answers")
    engine = script({**VECTORS, "Is it warm?": [[0.8, 0.6, 0]]})
    context = Context({"embedder": Client(engine, answers)}, 0, "label", "id")
    made = asyncio.run(ToolRefiner(k=2, first=first).decide(table, context)).to_pydict()
    answers.close()
    assert (made["recall"][0], made["sufficient"][0], made["tools"][0]) == found
