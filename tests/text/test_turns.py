from gristmill.text.turns import question, turns


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
