"""A stage that trains: the demo model, for real."""

import asyncio
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pyarrow as pa
import pytest

from gristmill.engines.client import Client
from gristmill.engines.named import build_engines
from gristmill.engines.trainer import Trainer
from gristmill.engines.training import pair
from gristmill.errors import StageError
from gristmill.pipelines import Context, TableStage, decisions
from gristmill.storage.answers import Answers
from gristmill.text.turns import turns

ROWS = [
    {"instruction": f"Write a loop to {i}.", "output": f"for i in range({i}):\n    print(i)"}
    for i in range(6)
]


class Seen(TypedDict):
    instruction: str
    output: str


class Learnt(TypedDict):
    gain: float


class Easiest(TableStage):
    """Keep the row that a training helps most."""

    async def decide(
        self, table: Annotated[pa.Table, Seen], ctx: Context
    ) -> Annotated[pa.Table, Learnt]:
        rows = [pair(row["id"], turns(row)) for row in table.to_pylist()]
        made = await ctx.trainer.train([p for p in rows if p], seed=1)
        again = await ctx.trainer.train([p for p in rows if p][::-1], seed=1)
        assert again.model == made.model
        nll = {(line["id"], line["checkpoint"]): line["nll"] for line in made.losses.to_pylist()}
        gain = [nll[i, 0] - nll[i, 1] for i in table["id"].to_pylist()]
        return decisions(table, [g == max(gain) for g in gain], "harder", gain=pa.array(gain))


def decide(needs: dict[str, Any], folder: Path) -> tuple[pa.Table, Client, Context]:
    table = pa.table({"id": [f"r{i}" for i in range(6)], **pa.Table.from_pylist(ROWS).to_pydict()})
    answers = Answers(folder / "answers.sqlite")
    trainer = Trainer(epochs=2, learning_rate=1e-3, batch_size=4)
    client = Client(trainer.in_workspace(folder), answers)
    ctx = Context(dict.fromkeys(needs, client), 0, "easiest", "table")

    async def go() -> pa.Table:
        try:
            return await Easiest().decide(table, ctx)
        finally:
            await client.stop()

    try:
        return asyncio.run(go()), client, ctx
    finally:
        answers.close()


def test_a_table_stage_trains_and_reads_the_losses(tmp_path) -> None:
    decided, client, ctx = decide({"trainer": "train"}, tmp_path)
    assert sum(decided["keep"].to_pylist()) == 1
    assert min(decided["gain"].to_pylist()) > 0.3
    assert (client.made, client.replayed) == (1, 1)
    keys, tokens = ctx.used()
    assert len(keys) == 2
    assert tokens == 2 * client.tokens > 0


def test_a_stage_that_trains_says_so(tmp_path) -> None:
    with pytest.raises(StageError, match="calls 'trainer', which its `needs\\(\\)` does not name"):
        decide({}, tmp_path)


def test_a_trainer_is_there_without_being_named() -> None:
    assert isinstance(build_engines("x", {})["trainer"], Trainer)
