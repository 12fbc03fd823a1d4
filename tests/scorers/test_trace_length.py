from gristmill.scorers.trace_length import TraceLength

STEPS = "First, add one.\nThen\tdouble  it.\nSo it is four.\n"


def test_a_trace_that_repeats_its_steps_has_the_length_of_its_steps() -> None:
    found = TraceLength()({"output": STEPS * 10})
    once = TraceLength()({"output": STEPS})
    assert {**found, "repeat_rate": 0.0} == once
    assert (once["words"], once["chars"], once["steps"]) == (10, 44, 3)
    assert found["repeat_rate"] == 0.9


def test_equal_steps_may_differ_in_white_space_only() -> None:
    found = TraceLength()({"output": "a b\n  a   b \n\nA b"})
    assert (found["steps"], found["words"]) == (2, 4)


def test_all_answers_of_a_conversation_count() -> None:
    said = [("user", "1"), ("assistant", "one two"), ("user", "2"), ("assistant", "three")]
    messages = [{"role": role, "content": content} for role, content in said]
    assert TraceLength()({"messages": messages})["words"] == 3  # type: ignore[typeddict-item]


def test_no_response_has_no_length() -> None:
    assert set(TraceLength()({"output": " \n"}).values()) == {None}
    assert set(TraceLength()({"output": None}).values()) == {None}
