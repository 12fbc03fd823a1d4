from typing import Any

import pyarrow as pa

from gristmill.filters.exact_duplicates import ExactDuplicates


def decide(stage: ExactDuplicates, rows: list[dict[str, Any]]) -> dict[str, str | None]:
    table = pa.Table.from_pylist([{"id": f"r{i}", **row} for i, row in enumerate(rows)])
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


def test_the_named_fields_decide() -> None:
    rows = [{"instruction": "a", "output": "x"}, {"instruction": "b", "output": "X"}]
    assert decide(ExactDuplicates(fields=("output",)), rows) == {"r0": None, "r1": "of r0"}
    assert ExactDuplicates(fields=("output",)).reads() == {"output"}
    assert ExactDuplicates().optional() == {"input"}


def test_an_empty_table_stays_empty() -> None:
    table = pa.table({"id": pa.array([], pa.string()), "instruction": pa.array([], pa.string())})
    assert len(ExactDuplicates(fields=("instruction",)).decide(table)) == 0
