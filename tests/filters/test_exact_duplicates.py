from typing import Any

import pyarrow as pa

from gristmill.filters.exact_duplicates import ExactDuplicates


def decide(stage: ExactDuplicates, rows: list[dict[str, Any]]) -> dict[str, str | None]:
    table = pa.Table.from_pylist(
        [{"id": f"r{i}", "messages": None, **row} for i, row in enumerate(rows)]
    )
    return {line["id"]: line["detail"] for line in stage.decide(table).to_pylist()}


def test_case_spacing_and_end_punctuation_do_not_count() -> None:
    rows = [
        {"instruction": "Name a  tree.", "input": None},
        {"instruction": "name a tree!", "input": ""},
        {"instruction": "Name a tree", "input": "tall"},
        {"instruction": "Name \uff41 tree", "input": None},
    ]
    assert decide(ExactDuplicates(), rows) == {"r0": None, "r1": "of r0", "r2": None, "r3": "of r0"}


def test_signs_inside_a_formula_do_count() -> None:
    rows = [{"instruction": "1 + 2", "input": None}, {"instruction": "1 - 2", "input": None}]
    assert decide(ExactDuplicates(), rows) == {"r0": None, "r1": None}


def test_fields_do_not_run_into_each_other() -> None:
    rows = [{"instruction": "a", "input": "b c"}, {"instruction": "a b", "input": "c"}]
    assert decide(ExactDuplicates(), rows) == {"r0": None, "r1": None}


def test_rows_without_text_are_no_duplicates() -> None:
    rows = [{"instruction": None, "input": None}] * 2
    assert decide(ExactDuplicates(), rows) == {"r0": None, "r1": None}


def test_rows_that_share_an_id_are_compared_too() -> None:
    table = {"id": ["same"] * 3, "instruction": ["Name a tree.", "Name a tree", "Name a fish."]}
    kept = ExactDuplicates().decide(
        pa.table({**table, "input": pa.nulls(3), "messages": pa.nulls(3)})
    )
    assert kept["keep"].to_pylist() == [True, False, True]


def test_the_named_fields_decide() -> None:
    rows = [{"instruction": "a", "output": "x"}, {"instruction": "b", "output": "X"}]
    assert decide(ExactDuplicates(fields=("output",)), rows) == {"r0": None, "r1": "of r0"}
    assert ExactDuplicates(fields=("output",)).reads() == {"output", "messages"}
    assert ExactDuplicates().optional() == {"input", "messages"}


def talk(*said: str) -> dict[str, Any]:
    roles = ["user", "assistant"] * len(said)
    turns = [{"role": role, "content": text} for role, text in zip(roles, said, strict=False)]
    return {"instruction": said[0], "input": None, "output": said[-1], "messages": turns}


def test_conversations_that_only_begin_alike_are_different() -> None:
    rows = [
        talk("Hello", "Hi!", "Explain TCP", "It is"),
        talk("Hello", "Hi!", "Write a poem", "It is"),
        talk("hello!", "Good day.", "explain TCP", "Well"),
        talk("Hello", "Hi!"),
        talk("Hello", "Hey."),
    ]
    found = decide(ExactDuplicates(), rows)
    assert found == {"r0": None, "r1": None, "r2": "of r0", "r3": None, "r4": "of r3"}
    answers = decide(ExactDuplicates(fields=("output",)), rows)
    assert answers == {"r0": None, "r1": "of r0", "r2": None, "r3": None, "r4": None}


def test_a_note_that_there_is_no_input_is_none() -> None:
    rows = [{"instruction": "Name a tree", "input": text} for text in ("<noinput>", None, "oak")]
    assert decide(ExactDuplicates(), rows) == {"r0": None, "r1": "of r0", "r2": None}


def test_an_empty_table_stays_empty() -> None:
    names = ("id", "instruction", "messages")
    table = pa.table({name: pa.array([], pa.string()) for name in names})
    assert len(ExactDuplicates(fields=("instruction",)).decide(table)) == 0


def test_a_row_of_another_dataset_leaves_with_its_id(published) -> None:
    texts = ["name a TREE", "Name a fish.", ""]
    rows = pa.table({"id": ["a", "b", "c"], "instruction": texts, "messages": pa.nulls(3)})
    stage = ExactDuplicates(fields=("instruction",), against=(str(published),))
    found = stage.decide(rows)
    assert found["detail"].to_pylist() == ["of old-2 in published.jsonl", None, None]
