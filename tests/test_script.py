"""The strict engine of the tests is strict."""

import pytest

from gristmill.engines.requests import Completion, Sampling
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.errors import EngineError
from gristmill.generators.responses import Responses
from gristmill.pipelines import RowStage


class Calls(RowStage):
    """Makes every kind of call."""

    async def __call__(self, row, ctx):
        llm = ctx.llm("any")
        return {
            "text": await llm.generate("write", Sampling(temperature=0)),
            "score": (await llm.score("ctx", "resp")).values,
            "vector": (await llm.embed("embedded")).values.tolist(),
            "choice": (await llm.choice("choose", ("a", "b"))).values,
            "verdict": (await llm.asks.ask(Program("code", "tests")))[1].status,
        }

    def needs(self):
        return {"any": "generate"}


def test_it_answers_every_kind_of_request(ask, script) -> None:
    engine = script(
        {
            "write": [Completion("cut", "length", 5, 1)],
            ("ctx", "resp"): [[-1.0, -0.5]],
            "embedded": [[0.6, 0.8]],
            "choose": [{"a": 0.75, "b": 0.25}],
            "code\ntests": [Verdict("fail")],
        }
    )
    out = ask(Calls(), {}, engine)
    assert (out["text"].finish_reason, out["text"].prompt_tokens) == ("length", 5)
    assert out["score"] == [-1.0, -0.5]
    assert out["vector"] == pytest.approx([0.6, 0.8])
    assert out["choice"] == {"a": 0.75, "b": 0.25}
    assert out["verdict"] == "fail"


def test_replies_come_in_order_and_errors_are_raised(ask, script) -> None:
    engine = script({"Say": [EngineError("lost"), "one", "two"]})
    rows = ask(Responses(n=2), {"instruction": "Say"}, engine)
    assert [row["output"] for row in rows] == ["one", "two"]
    assert len(engine.calls) == 3


def test_an_unmatched_call_fails(ask, script) -> None:
    engine = script({"Say": ["one"]})
    with pytest.raises(AssertionError, match="no reply left for: Tell"):
        ask(Responses(n=1), {"instruction": "Tell"}, engine)
    with pytest.raises(AssertionError, match=r"calls without a reply: \['Tell'\]"):
        engine.finish()
    engine.strays.clear()
    ask(Responses(n=1), {"instruction": "Say"}, engine)


def test_an_unused_reply_fails(ask, script) -> None:
    engine = script({"Say": ["one", "two"]})
    ask(Responses(n=1), {"instruction": "Say"}, engine)
    with pytest.raises(AssertionError, match=r"never asked for: \{'Say': \['two'\]\}"):
        engine.finish()
    ask(Responses(n=1), {"instruction": "Say"}, engine)
