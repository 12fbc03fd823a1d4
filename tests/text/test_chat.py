"""Calls of one turn, written one by one."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gristmill.text.chat import one_by_one


def calling(*ids: str | None) -> dict:
    calls = [
        {"function": {"name": str(i)}} | ({"id": id_} if id_ else {}) for i, id_ in enumerate(ids)
    ]
    extra = json.dumps({"tool_calls": calls, "thought": "t"})
    return {"role": "assistant", "content": "Both.", "extra": extra}


def answer(text: str, id_: str | None = None) -> dict:
    extra = json.dumps({"tool_call_id": id_}) if id_ else None
    return {"role": "tool", "content": text, "extra": extra}


def calls(turn: dict) -> list[dict]:
    return json.loads(turn["extra"])["tool_calls"] if turn["role"] == "assistant" else []


def told(turns: list[dict]) -> list[str]:
    return [
        " ".join(f"call {one['function']['name']}" for one in calls(turn)) or turn["content"]
        for turn in turns
    ]


def test_an_answer_stands_behind_the_call_that_it_names_or_that_has_its_place() -> None:
    named = [calling("a", "b"), answer("B", "b"), answer("A", "a")]
    assert told(one_by_one(named)) == ["call 0", "A", "call 1", "B"]
    assert told(one_by_one([calling(None, None), answer("0"), answer("1")])) == [
        "call 0", "0", "call 1", "1",
    ]  # fmt: skip
    same = [calling("a", "a"), answer("0", "a"), answer("1", "a"), answer("more", "a")]
    assert told(one_by_one(same)) == ["call 0", "0", "more", "call 1", "1"]
    lone = [calling("a", "b"), answer("A", "a"), answer("?", "x"), answer("!", "y")]
    assert told(one_by_one(lone)) == ["call 0", "A", "call 1", "?", "!"]


def test_what_was_said_beside_calls_stays_with_the_first() -> None:
    first, second = one_by_one([calling("a", "b")])
    assert (first["content"], second["content"]) == ("Both.", "")
    assert ("thought" in first["extra"], "thought" in second["extra"]) == (True, False)


IDS = st.sampled_from(["a", "b", "c", None])
TURNS = st.lists(
    st.lists(IDS, max_size=3).map(lambda ids: calling(*ids))
    | IDS.map(lambda id_: answer("x", id_))
    | st.just({"role": "user", "content": "Hi", "extra": None}),
    max_size=8,
)


@given(TURNS)
def test_nothing_is_lost_and_no_turn_has_two_calls(turns) -> None:
    made = one_by_one(turns)
    assert all(len(calls(turn)) < 2 for turn in made)
    assert [x for turn in made for x in calls(turn)] == [x for turn in turns for x in calls(turn)]
    for role in ("tool", "user"):
        before, after = ([turn["role"] for turn in some].count(role) for some in (turns, made))
        assert before == after
    assert one_by_one(made) == made
