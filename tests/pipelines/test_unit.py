import asyncio
import math
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, TypedDict

import numpy as np
import pyarrow as pa
import pytest

from gristmill.engines.client import Client
from gristmill.engines.requests import Message, Sampling
from gristmill.errors import GristmillError, PromptRefused, PromptTooLong, StageError
from gristmill.pipelines import Context, Drop, RowStage, TableStage, decisions
from gristmill.pipelines.plan import Use
from gristmill.pipelines.unit import Unit
from gristmill.storage.answers import Answers
from gristmill.storage.shards import Shard


class Text(TypedDict):
    instruction: str


class Fan(RowStage):
    codes: ClassVar[frozenset[str]] = frozenset({"odd"})
    code: str = "odd"
    n: int = 3

    def __call__(self, row: Text) -> list[Text | Drop]:
        return [
            Drop(self.code) if i % 2 else {"instruction": f"{row['instruction']}{i}"}
            for i in range(self.n)
        ]


class Wait(RowStage):
    async def __call__(self, row: Text, ctx: Context) -> Text:
        while row["instruction"][0] == "b" and not EVENTS:  # noqa: ASYNC110
            await asyncio.sleep(0)
        return {"instruction": row["instruction"]}


class Meet(TableStage):
    scope: ClassVar[Literal["table", "siblings"]] = "siblings"
    codes: ClassVar[frozenset[str]] = frozenset({"late"})

    def decide(self, table: Annotated[pa.Table, Text]) -> Annotated[pa.Table, Text]:
        EVENTS.append(sorted(table["instruction"].to_pylist()))
        return decisions(table, [True] * len(table), "late", instruction=table["instruction"])


class Forgets(RowStage):
    def __call__(self, row: Text) -> Text:
        row["instruction"].strip()  # type: ignore[return]


class Rates(RowStage):
    class Rated(TypedDict):
        share: float

    found: Any = None

    def __call__(self, row: Text) -> Rated:
        return {"share": self.found}


EVENTS: list[list[str]] = []


def unit(*stages) -> Unit:
    uses = [Use(type(s).__name__.lower(), "generators", s) for s in stages]
    return Unit(uses, 0, {"id": pa.string(), "instruction": pa.string()}, {})


def row(name: str):
    return {
        "id": name,
        "root": name,
        "parents": [],
        "round": 0,
        "stage": "seeds",
        "calls": [],
        "instruction": name,
    }


def test_a_family_meets_when_its_own_last_child_arrived() -> None:
    """The children of `b` wait until some other family has met: a barrier would never end."""
    EVENTS.clear()
    shard = Shard()

    async def go() -> None:
        moving = unit(Fan(), Wait(), Meet())
        await asyncio.wait_for(
            asyncio.gather(*(moving.run([row(name)], 0, shard) for name in "ba")), 5
        )

    asyncio.run(go())
    assert EVENTS == [["a0", "a2"], ["b0", "b2"]]
    assert {e["end_at"] for e in shard.rows if e["end"] == "kept"} == {"meet"}


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (Fan(code="new"), "undeclared reject code 'new'.*found \\['odd'\\]"),
        (Fan(n=0), "returned no rows; return a Drop"),
        (Forgets(), "'forgets' returned None; return its columns or a Drop"),
    ],
)
def test_a_stage_that_breaks_its_contract_stops_the_run(stage, message) -> None:
    with pytest.raises(StageError, match=message):
        asyncio.run(unit(stage).run([row("a")], 0, Shard()))


@pytest.mark.parametrize("found", [math.nan, np.float32("inf"), "high", [1.0]])
def test_a_value_of_another_type_fails_its_row_and_says_where(found) -> None:
    shard = Shard()
    asyncio.run(unit(Rates(found=found)).run([row("a")], 0, shard))
    (gone,) = shard.rows
    assert gone["end"] == "failed"
    assert f"the column 'share' of stage 'rates' got {str(found)!r}" in gone["end_error"]


class Unread(RowStage):
    too_long: bool

    def __call__(self, row: Text) -> Text:
        error: GristmillError = PromptTooLong("9 > 8") if self.too_long else PromptRefused("a tool")
        raise error


@pytest.mark.parametrize(
    ("too_long", "code", "detail"),
    [(True, "prompt_too_long", "9 > 8"), (False, "prompt_refused", "a tool")],
)
def test_a_row_that_a_model_cannot_read_is_rejected(too_long, code, detail) -> None:
    shard = Shard()
    asyncio.run(unit(Unread(too_long=too_long)).run([row("a")], 0, shard))
    (gone,) = shard.rows
    assert (gone["end"], gone["end_code"], gone["end_detail"]) == ("rejected", code, detail)


def test_numbers_of_numpy_become_those_of_python() -> None:
    shard = Shard()
    asyncio.run(unit(Rates(found=np.float32(0.5))).run([row("a")], 0, shard))
    assert repr(shard.rows[0]["meta"]) == "{'rates': {'share': 0.5}}"


def test_one_context_in_two_tasks_raises_and_branches_do_not(tmp_path, engine) -> None:
    answers = Answers(tmp_path / "answers.sqlite")
    models = {"generator": Client(engine(answer=lambda p, d: str(d)), answers)}

    async def ask(ctx: Context) -> tuple[float, str]:
        call = ctx.llm("generator").generate([{"role": "user", "content": "x"}], Sampling())
        return ctx.rng.random(), (await call).text

    async def both(*contexts: Context):
        return await asyncio.gather(*(ask(ctx) for ctx in contexts))

    def top() -> Context:
        return Context(models, 0, "label", "id")

    one, other = asyncio.run(both(top().branch(0), top().branch(1)))
    assert one[0] != other[0]
    assert one[1] != other[1]
    shared = top()
    with pytest.raises(StageError, match=r"give each coroutine its own ctx.branch"):
        asyncio.run(both(shared, shared))
    answers.close()


def test_rows_draw_and_ask_apart_and_an_answer_is_stored_before_its_row_goes_on(
    tmp_path, engine
) -> None:
    answers = Answers(tmp_path / "answers.sqlite")
    models = {"generator": Client(engine(answer=lambda p, d: str(d)), answers)}

    async def one(row_id: str) -> tuple[float, str]:
        ctx = Context(models, 0, "label", row_id)
        number = ctx.rng.random()
        text = (
            await ctx.llm("generator").generate([{"role": "user", "content": "x"}], Sampling())
        ).text
        assert answers.get(ctx.used()[0][0]) is not None
        return number, text

    async def go():
        return await asyncio.gather(one("a"), one("b"))

    (rng_a, text_a), (rng_b, text_b) = asyncio.run(go())
    assert rng_a != rng_b
    assert text_a != text_b
    assert asyncio.run(one("a")) == (rng_a, text_a)
    answers.close()


def test_greedy_calls_of_different_rows_are_asked_once(tmp_path, engine) -> None:
    answers, asked = Answers(tmp_path / "answers.sqlite"), engine()
    models = {"generator": Client(asked, answers)}

    async def go() -> None:
        greedy = Sampling(temperature=0)
        contexts = [Context(models, 0, "label", name) for name in "abc"]
        message: list[Message] = [{"role": "user", "content": "x"}]
        await asyncio.gather(*(c.llm("generator").generate(message, greedy) for c in contexts))

    asyncio.run(go())
    assert len(asked.calls) == 1
    answers.close()


def test_siblings_arrive_in_canonical_order() -> None:
    seen: list[list[str]] = []

    class First(Meet):
        def decide(self, table: Annotated[pa.Table, Text]) -> Annotated[pa.Table, Text]:
            seen.append(table["id"].to_pylist())
            return decisions(table, [True] * len(table), "late", instruction=table["instruction"])

    asyncio.run(unit(Fan(n=9), First()).run([row("a")], 0, Shard()))
    assert seen == [sorted(seen[0])]
    assert len(seen[0]) == 5


def test_a_new_instruction_clears_the_output() -> None:
    shard = Shard()
    asyncio.run(unit(Fan()).run([{**row("a"), "output": "old"}], 0, shard))
    assert {r["output"] for r in shard.rows if r["end"] == "kept"} == {None}
    assert {r["output"] for r in shard.rows if r["end"] == "expanded"} == {"old"}


class Asking(RowStage):
    """Asks once, then ends its row in the way that it is told."""

    end: str
    codes: ClassVar[frozenset[str]] = frozenset({"odd"})

    def needs(self) -> dict[str, Any]:
        return {"generator": "generate"}

    async def __call__(self, row: Text, ctx: Context) -> Text | Drop | list[Text | Drop]:
        await ctx.llm("generator").generate("x", Sampling())
        if self.end == "failed":
            raise ValueError("after it paid")
        return [Drop("odd")] if self.end == "children" else Drop("odd")


@pytest.mark.parametrize("end", ["failed", "rejected", "children"])
def test_a_row_that_leaves_keeps_its_calls_and_what_they_cost(tmp_path, engine, end: str) -> None:
    answers = Answers(tmp_path / "answers.sqlite")
    roles = {"generator": Client(engine(), answers)}
    shard = Shard()
    asyncio.run(replace(unit(Asking(end=end)), roles=roles).run([row("a")], 0, shard))
    assert (shard.tokens, shard.counts["asking"]["asked"]) == (12, 1)
    assert all(len(left["calls"]) == 1 for left in shard.rows)
    assert len(shard.rows) == (2 if end == "children" else 1)
    answers.close()


def test_a_new_output_makes_the_old_conversation_untrue() -> None:
    class Answer(TypedDict):
        output: str

    class Answering(RowStage):
        def __call__(self, row: Text) -> Answer:
            return {"output": "new"}

    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "old"}]
    shard = Shard()
    asyncio.run(unit(Answering()).run([row("a") | {"messages": turns}], 0, shard))
    assert shard.kept()[0]["messages"] is None
    assert shard.kept()[0]["output"] == "new"
