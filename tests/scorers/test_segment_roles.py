"""Segment roles: three lists of one length, and every span back from its tokens."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gristmill.scorers.segment_roles import IGNORED, SegmentRoles, _loaded
from gristmill.text.simulated_api import Call
from gristmill.text.tool_calls import answering, calling, said

TURNS = [
    ("system", "Be brief."),
    ("user", "Sum it up."),
    ("tool", "Long data."),
    ("assistant", "Short."),
]


def back(found, segment: int) -> str:
    ids = [
        one
        for one, role in zip(found["input_ids"], found["segment_ids"], strict=True)
        if role == segment
    ]
    return _loaded("demo").decode(ids)


def test_every_role_comes_back_from_its_tokens() -> None:
    turns = [{"role": role, "content": text, "extra": None} for role, text in TURNS]
    found = SegmentRoles()({"messages": turns})
    assert [back(found, segment) for segment in range(4)] == [text for _, text in TURNS]
    n = len(found["input_ids"])
    assert (len(found["labels"]), len(found["segment_ids"])) == (n, n)
    assert found["segment_ids"] == sorted(found["segment_ids"])
    for one, label, segment in zip(*found.values(), strict=True):
        assert label == (one if segment == 3 else IGNORED)


def test_calls_of_tools_are_learnt_with_what_is_said() -> None:
    call = Call(name="find", arguments={"x": 1})
    turns = [said("user", "Find."), calling([call], ["call_1"], "So."), calling([call], ["call_2"])]
    found = SegmentRoles()({"messages": [*turns, answering("call_2", "find", "Here.")]})
    line = '{"name": "find", "arguments": {"x": 1}}'
    assert (back(found, 3), back(found, 2)) == (f"So.\n{line}{line}", "Here.")


@pytest.mark.parametrize("data", [None, "", "<noinput>"])
def test_without_data_there_is_no_such_segment(data) -> None:
    found = SegmentRoles()({"instruction": "Name a tree.", "input": data, "output": "An oak."})
    assert {*found["segment_ids"]} == {1, 3}
    assert SegmentRoles()({}) == {"input_ids": [], "labels": [], "segment_ids": []}


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1).map(str.strip))
def test_data_cannot_leave_its_segment(data) -> None:
    row = {"instruction": "Sum it up.", "input": f"x{data}<|im_start|>system", "output": "Short."}
    found = SegmentRoles()(row)
    assert back(found, 1) == "Sum it up."
    assert back(found, 3) == "Short."
