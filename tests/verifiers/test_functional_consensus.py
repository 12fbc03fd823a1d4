import asyncio
from typing import Any

import pyarrow as pa
import pytest

from gristmill.engines.client import Client
from gristmill.engines.sandbox.agreement import consensus, similarity, steady, winner
from gristmill.engines.sandbox.program import Verdict
from gristmill.engines.sandbox.values import form
from gristmill.pipelines import Context
from gristmill.storage.answers import Answers
from gristmill.verifiers.functional_consensus import FunctionalConsensus

CALLS = ["f(1)", "f(2)", "f(3)"]
A, C, D = ["1", "4", "9"], ["1", "4", "8"], [None, None, None]


def whole(*numbers: int) -> list[Any]:
    return [["i", hex(number)] for number in numbers]


def test_the_worked_case_of_four_candidates() -> None:
    scores = consensus([A, A, C, D])
    assert scores == pytest.approx([1 + 2 / 3, 1 + 2 / 3, 4 / 3, 0])
    assert similarity(A, C) == pytest.approx(2 / 3)
    assert winner(scores, [30, 20, 10, 5]) == 1, "of equals the shortest"
    assert winner(scores, [20, 20, 10, 5]) == 0, "then the first"


def test_three_that_share_a_mistake_outvote_two_that_are_right() -> None:
    right, wrong = ["1", "4"], ["2", "3"]
    assert winner(consensus([right, wrong, right, wrong, wrong]), [1] * 5) == 1


def test_a_crash_agrees_with_no_other_crash_and_alone_nobody_wins() -> None:
    assert consensus([D, D]) == [0, 0]
    assert winner([0.0, 0.0], [1, 2]) is None
    assert winner(consensus([A]), [1]) is None


def test_the_order_of_candidates_changes_no_behaviour() -> None:
    values = [A, C, A, D, C, A]
    for turn in range(6):
        turned = values[turn:] + values[:turn]
        best = winner(consensus(turned), [7] * 6)
        assert best is not None
        assert turned[best] == A


def test_a_value_that_changes_between_runs_is_none() -> None:
    runs = [Verdict("pass", values=whole(1, 2)), Verdict("pass", values=whole(1, 3))]
    assert steady(runs, 2) == [form(["i", "0x1"]), None]
    assert steady([Verdict("error")], 2) == [None, None]
    assert steady([], 2) == [None, None]


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (["f", "nan"], ["f", "nan"], True),
        (["i", "0x4"], ["f", "0x1.0000000000000p+2"], True),
        (["i", "0x1"], ["b", 1], False),
        (["l", ["i", "0x1"]], ["t", ["i", "0x1"]], False),
        (["i", hex(7**9999)], ["i", hex(7**9999)], True),
        (["S", ["i", "0x1"], ["i", "0x2"]], ["S", ["i", "0x2"], ["i", "0x1"]], True),
        (["d", [["s", "a"], ["n"]], [["s", "b"], ["n"]]],
         ["d", [["s", "b"], ["n"]], [["s", "a"], ["n"]]], True),
        (["s", "1"], ["i", "0x1"], False),
    ],
)  # fmt: skip
def test_equal_values_share_a_form(left, right, same) -> None:
    assert (form(left) == form(right)) is same
    assert form(left) is not None


@pytest.mark.parametrize("value", [None, ["!", "KeyError"], ["?", "Liar"], ["i", "x"], ["i"], []])
def test_what_is_no_value_has_no_form(value) -> None:
    assert form(value) is None


def decide(engine: Any, outputs: list[str | None], calls: Any, folder: Any) -> list[dict[str, Any]]:
    answers = Answers(folder / "answers")
    kind = pa.list_(pa.string())
    table = pa.table(
        {
            "id": [str(i) for i in range(len(outputs))],
            "output": pa.array(outputs, pa.string()),
            "inputs": pa.array([calls] * len(outputs), kind),
        }
    )

    async def go() -> Any:
        ctx = Context({"sandbox": Client(engine, answers)}, 0, "functional_consensus", "id")
        return await FunctionalConsensus(attempts=2, timeout_s=3).decide(table, ctx)

    found = asyncio.run(go())
    answers.close()
    return list(found.to_pylist())


def block(code: str) -> str:
    return f"```python\n{code}\n```"


def test_siblings_get_their_agreement_and_one_passes(script, tmp_path) -> None:
    good, odd = Verdict("pass", values=whole(1, 4, 9)), Verdict("pass", values=whole(1, 4, 8))
    crash = Verdict("error", values=[["!", "KeyError"], None, None])
    engine = script(
        {"one": [good, good], "two": [good, good], "odd": [odd, odd], "bad": [crash] * 2}
    )
    outputs = [block("one = 1"), block("two=1"), block("odd"), block("bad"), "no code", None]
    rows = decide(engine, outputs, CALLS, tmp_path)
    assert [row["passed"] for row in rows] == [False, True, False, False, False, False]
    expected = [1 + 2 / 3, 1 + 2 / 3, 4 / 3, 0, 0, 0]
    assert [row["consensus"] for row in rows] == pytest.approx(expected)
    statuses = ["pass", "pass", "pass", "error", "no_code", "no_code"]
    assert [row["status"] for row in rows] == statuses
    assert {row["verified_by"] for row in rows} == {"consensus"}
    assert all(row["keep"] and row["code"] is None for row in rows)
    assert {(p.attempt, p.calls, p.timeout_s) for p in engine.calls} == {
        (i, tuple(CALLS), 3) for i in range(2)
    }


def test_nobody_passes_where_nobody_agrees(script, tmp_path) -> None:
    good, odd = Verdict("pass", values=whole(1)), Verdict("pass", values=whole(2))
    engine = script({"one": [good, good], "odd": [odd, odd]})
    rows = decide(engine, [block("one"), block("odd")], ["f(1)"], tmp_path)
    assert [(row["passed"], row["consensus"], row["verified_by"]) for row in rows] == [
        (None, 0.0, None)
    ] * 2


@pytest.mark.parametrize("calls", [None, [], ["", None]])
def test_without_inputs_nothing_runs(script, tmp_path, calls) -> None:
    (row,) = decide(script({}), [block("one")], calls, tmp_path)
    assert (row["passed"], row["status"], row["consensus"]) == (None, "no_inputs", None)
