import asyncio
import json
from collections.abc import Sequence
from typing import Any, ClassVar, TypedDict

import pytest
from pydantic import BaseModel

from gristmill import Recipe, run
from gristmill.engines.client import Client
from gristmill.engines.requests import Completion, Op, Sampling
from gristmill.engines.scripted import Scripted
from gristmill.generators.responses import Responses
from gristmill.pipelines import Context, Drop, RowStage
from gristmill.pipelines.replies import REPLY_CODES, fill
from gristmill.storage.answers import Answers


def ended(text: str, reason: Any) -> Completion:
    return Completion(text, reason, 1, 2, "m")


@pytest.mark.parametrize("reason", ["content_filter", "tool_calls", "repetition"])
def test_a_reply_that_no_model_finished_is_a_drop_named_by_its_end(ask, script, reason) -> None:
    engine = script({"Go.": [ended("half a", reason), ended("whole", "stop")]})
    dropped, kept = ask(Responses(n=2), {"instruction": "Go."}, engine)
    assert dropped == Drop(reason, "half a")
    assert kept["output"] == "whole"


def test_a_filtered_answer_is_paid_for_once_and_fails_no_row(tmp_path) -> None:
    class Filtering(Scripted):
        async def generate(self, request: Any) -> Completion:
            asked.append(request)
            bad = request.prompt[-1]["content"] == "task 3"
            return ended("" if bad else "done", "content_filter" if bad else "stop")

    asked: list[Any] = []
    stages = [{"use": "generators.responses", "n": 1}]
    bare = {"card": False, "report": False}
    recipe = Recipe.model_validate({"name": "filtered", "stages": stages, "export": bare})
    seeds = [{"instruction": f"task {i}"} for i in range(10)]
    for n in (10, 0):
        asked.clear()
        result = run(recipe, seeds, {"generator": Filtering()}, workspace=tmp_path)
        for shard in result.path.glob("shards/*/*.parquet"):
            shard.unlink()
        assert len(asked) == n
        assert result.ledger[0]["codes"] == {"content_filter": 1}
        assert (result.ledger[0]["failed"], len(result.dataset)) == (0, 9)


class Seed(TypedDict):
    instruction: str


class Made(TypedDict):
    output: str


class Number(BaseModel):
    n: int


class Count(RowStage):
    """Asks `times` times at once for a number."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES
    times: int = 1
    temperature: float = 0.0

    def needs(self) -> dict[str, Op]:
        return {"generator": "generate"}

    async def __call__(self, row: Seed, ctx: Context) -> list[Made | Drop]:
        llm, how = ctx.llm("generator"), Sampling(self.temperature)
        asks = (fill(llm, row["instruction"], how, Number) for _ in range(self.times))
        return [_made(found) for found in await asyncio.gather(*asks)]


def _made(found: Any) -> Made | Drop:
    if isinstance(found, Drop):
        return found
    number, reply = found
    return {"output": f"{number.n} by {reply.text}"}


GOOD, BAD = '{"n": 7}', '{"n": "seven"}'
SAYS_WHY = "n: Input should be a valid integer"


def asked_again(engine: Any) -> Sequence[str]:
    return [call.prompt for call in engine.calls if SAYS_WHY in call.prompt]


def test_a_reply_that_fits_is_asked_for_once(ask, script) -> None:
    engine = script({"Count.": [GOOD]})
    assert ask(Count(), {"instruction": "Count."}, engine) == [{"output": f"7 by {GOOD}"}]
    assert json.loads(engine.calls[0].schema)["required"] == ["n"]


def test_a_reply_that_does_not_fit_is_shown_its_mistake_once(ask, script) -> None:
    engine = script({SAYS_WHY: [GOOD], "Count.": [BAD]})
    assert ask(Count(), {"instruction": "Count."}, engine) == [{"output": f"7 by {GOOD}"}]
    assert [call.schema for call in engine.calls] == [engine.calls[0].schema] * 2
    assert [BAD in text for text in asked_again(engine)] == [True]


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (BAD, "bad_json"),
        ("Sorry.", "bad_json"),
        (Completion(GOOD, "length", 9, 9), "cut_off"),
        (" ", "empty"),
    ],
)
def test_a_second_one_that_does_not_fit_is_a_drop(second, code, ask, script) -> None:
    engine = script({SAYS_WHY: [second], "Count.": [BAD]})
    (dropped,) = ask(Count(), {"instruction": "Count."}, engine)
    assert dropped.code == code
    if second == BAD:
        assert dropped.detail.startswith(SAYS_WHY)


def test_a_reply_that_was_cut_off_is_not_repaired(ask, script) -> None:
    engine = script({"Count.": [Completion(BAD, "length", 9, 9)]})
    assert ask(Count(), {"instruction": "Count."}, engine)[0].code == "cut_off"


def test_repairs_of_calls_at_once_are_draws_of_their_own(ask, script) -> None:
    engine = script({SAYS_WHY: [GOOD] * 3, "Count.": [BAD] * 3})
    assert len(ask(Count(times=3, temperature=1.0), {"instruction": "Count."}, engine)) == 3
    draws = [call.draw for call in engine.calls]
    assert len(set(draws)) == 6


def test_a_repaired_row_replays_with_both_its_calls(tmp_path) -> None:
    rules = ((SAYS_WHY, GOOD), ("Count", BAD))
    log = tmp_path / "calls"
    seeds = [{"instruction": f"Count {i}."} for i in range(5)]
    found = []
    for _ in range(2):
        engine = Scripted(rules=rules, log=log)
        answers = Answers(tmp_path / "answers")
        client = Client(engine, answers)

        async def go(row: dict[str, Any], i: int, client: Client = client) -> Any:
            ctx = Context({"generator": client}, 0, "label", str(i))
            return await Count()(row, ctx), ctx.used()

        async def all_of_them(go: Any = go) -> list[Any]:
            return [await go(row, i) for i, row in enumerate(seeds)]

        found.append(asyncio.run(all_of_them()))
        answers.close()
        assert len(log.read_text().splitlines()) == 10, "five rows, two calls each, paid for once"
    assert found[0] == found[1]
    assert all(len(set(keys)) == 2 for _, (keys, _) in found[0])
