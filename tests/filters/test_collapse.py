import numpy as np
import pyarrow as pa
import pytest

from gristmill.filters.collapse import Collapse


def rows(degrees, texts=None, round_: int = 1) -> pa.Table:
    n = len(degrees)
    vectors = [[float(np.cos(a)), float(np.sin(a))] for a in np.radians(degrees)]
    return pa.table(
        {
            "id": [f"{round_}-{i}" for i in range(n)],
            "scores.embedding.vector": pa.array(vectors, pa.list_(pa.float32())),
            "instruction": texts or [f"word{i} it" for i in range(n)],
            "round": pa.array([round_] * n, pa.int32()),
        }
    )


WIDE, NARROW = (0, 30, 60, 90), (0, 5, 30, 35, 90)


def lines(table, pool=None, **changes):
    return Collapse(**changes).decide(table, pool).to_pylist()


def test_in_the_first_round_every_row_stays_with_its_distance() -> None:
    found = lines(rows(WIDE))
    assert all(line["keep"] for line in found)
    # 1 - the cosine of 30 degrees.
    assert found[0]["distance"] == pytest.approx(0.134, abs=1e-3)
    assert lines(rows([0]))[0]["distance"] is None


def test_a_round_that_crowds_together_loses_the_rows_that_are_too_near() -> None:
    found = lines(rows(NARROW), rows(WIDE, round_=0))
    assert [line["keep"] for line in found] == [True, False, True, False, True]
    told = "median distance 0.134 -> 0.004; 0.004 from 1-0"
    assert (found[1]["code"], found[1]["detail"]) == ("collapsed", told)


def test_the_limit_is_a_parameter_and_only_the_round_before_counts() -> None:
    close = rows((0, 28, 56, 84))  # 0.117 of 0.134: fallen by 13 %
    assert all(line["keep"] for line in lines(close, rows(WIDE, round_=0)))
    assert not all(line["keep"] for line in lines(close, rows(WIDE, round_=0), max_fall=0.1))
    pool = pa.concat_tables([rows(WIDE, round_=0), rows(NARROW, round_=1)])
    assert all(line["keep"] for line in lines(rows(NARROW, round_=2), pool))


def test_a_word_that_begins_too_many_instructions_is_thinned_out() -> None:
    before = rows(WIDE, ["Write a", "Name b", "Tell c", "Write d"], 0)
    now = rows(WIDE, ["Write a", "write b", "Write c", "Name d"])
    found = lines(now, before)
    # 1.5 bits before, 0.81 now; two of four may begin alike, as before.
    assert [line["keep"] for line in found] == [True, True, False, True]
    assert found[2]["detail"] == "entropy of first words 1.50 -> 0.81; 'write' again"


def test_a_small_round_is_compared_with_what_so_few_rows_can_have() -> None:
    every = ["Write a", "Name b", "Tell c", "Sort d", "Plan e", "Find f", "Join g", "Say h"]
    before = rows(range(0, 80, 10), every, 0)  # 3 bits, which three rows cannot reach
    assert all(line["keep"] for line in lines(rows((0, 40, 80), ["Go a", "Try b", "Do c"]), before))
    assert lines(rows((0,), ["Go on."]), before)[0]["keep"]
    found = lines(rows((0, 30, 60, 90), ["Go a", "Go b", "Go c", "Try d"]), before)
    assert [line["keep"] for line in found] == [True, False, False, True]


def test_rows_without_vector_or_text_stay() -> None:
    table = rows((0, 1)).set_column(
        1, "scores.embedding.vector", pa.nulls(2, pa.list_(pa.float32()))
    )
    table = table.set_column(2, "instruction", pa.nulls(2, pa.string()))
    assert all(line["keep"] for line in lines(table, rows((0,), ["Go."], 0)))


def test_the_pool_of_a_run_has_its_vectors_inside_a_struct() -> None:
    flat = rows(WIDE, round_=0)
    inner = [{"embedding": {"vector": one}} for one in flat["scores.embedding.vector"].to_pylist()]
    pool = flat.drop_columns("scores.embedding.vector").append_column("scores", pa.array(inner))
    found = lines(rows(NARROW), pool)
    assert [line["keep"] for line in found] == [True, False, True, False, True]


def test_the_instances_of_a_task_count_once() -> None:
    tasks = ["Write a", "Name b", "Tell c", "Write d"]
    often = rows([a for a in WIDE for _ in range(5)], [t for t in tasks for _ in range(5)], 0)
    found = lines(rows(NARROW), often)
    assert [line["keep"] for line in found] == [True, False, True, False, True]
    assert "median distance 0.134 -> 0.004" in found[1]["detail"]
    twins = lines(rows([a for a in NARROW for _ in range(2)]), often)
    assert [line["keep"] for line in twins[::2]] == [True, False, True, False, True]
    assert [line["keep"] for line in twins[1::2]] == [True, False, True, False, True]
    assert "0.004 from 1-0" in twins[3]["detail"]
    again = rows([a for a in NARROW for _ in range(2)], [f"Go {i // 2}" for i in range(10)])
    told = [line["detail"] or "" for line in lines(again, often)]
    # Half of the tasks began with one word: of five tasks, two may begin with "go".
    assert [i for i, why in enumerate(told) if "'go' again" in why] == [4, 5, 6, 7, 8, 9]
