from gristmill.text.turns import parts, question, turns


def test_an_exchange_is_two_turns_and_a_note_is_no_input() -> None:
    assert turns({"instruction": "Add.", "input": "1 2", "output": "3"}) == [
        {"role": "user", "content": "Add.\n\n1 2"},
        {"role": "assistant", "content": "3"},
    ]
    assert (
        question("Add.", "<noinput>") == question("Add.", " ") == question("Add.", None) == "Add."
    )


def test_messages_win_and_empty_ones_go_but_for_answers() -> None:
    said = [("system", ""), ("user", "U"), ("assistant", None)]
    row = {"instruction": "other", "messages": [{"role": r, "content": c} for r, c in said]}
    assert turns(row) == [
        {"role": "user", "content": "U"},
        {"role": "assistant", "content": ""},
    ]


def test_the_parts_of_a_conversation_are_all_turns_of_a_side() -> None:
    said = [("system", "S"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    row = {"messages": [{"role": r, "content": c} for r, c in said], "instruction": "a"}
    assert parts(row, "instruction") == ["a", "c"]
    assert parts(row, "input") == []
    assert parts(row, "output") == ["b", "d"]


def test_the_parts_of_one_exchange_are_its_columns() -> None:
    said = [("user", "a"), ("assistant", "b")]
    row = {"messages": [{"role": r, "content": c} for r, c in said], "instruction": "I"}
    assert [parts(row, name) for name in ("instruction", "input", "output")] == [["I"], [], []]
    row = {"instruction": "I", "input": "n/a", "output": ""}
    assert [parts(row, name) for name in ("instruction", "input", "output")] == [["I"], [], []]
