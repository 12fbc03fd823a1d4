from typing import Any

import pytest

from gristmill import Recipe, run
from gristmill.engines.requests import Completion
from gristmill.engines.scripted import Scripted
from gristmill.generators.responses import Responses
from gristmill.pipelines import Drop


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
