import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gristmill.constraints.catalogue import IFEVAL, KINDS, Constraint, check, constraint
from gristmill.constraints.names import FOLLOW_RAG, NAMES, REASON_IF
from gristmill.constraints.parts import parts_of, tables_of
from gristmill.errors import InputError

DATA = Path(os.environ.get("GRISTMILL_DATA", "nowhere")) / "followrag"
COMMA = "punctuation:no_comma"


def test_a_name_is_a_type_of_ifeval_with_its_scope() -> None:
    assert len(FOLLOW_RAG) == 22
    assert len(REASON_IF) == 6
    assert {named.cid for named in NAMES.values()} <= set(IFEVAL)
    fewer = constraint("reasoning:number_words", {"num_words": 3})
    params = {"num_words": 3, "relation": "less than"}
    assert fewer == Constraint("length_constraints:number_words", params, "reasoning")
    assert fewer.text == "For your reasoning, before the answer: Write less than 3 words."
    assert constraint("length_sentence", {"num_sentences": 3, "relation": "at least"}).text == (
        "Write at least 3 sentences."
    )


def test_the_types_that_followrag_leaves_out() -> None:
    left = set(IFEVAL) - set(FOLLOW_RAG.values())
    assert left == {
        "keywords:letter_frequency",
        "detectable_format:constrained_response",
        "combination:two_responses",
    }


@pytest.mark.skipif(not DATA.is_dir(), reason="GRISTMILL_DATA names no folder")
def test_every_constraint_of_followrag_is_read_and_said() -> None:
    rows = json.loads((DATA / "followRAG_ifnq.json").read_text(encoding="utf-8"))
    given = [
        (cid, params)
        for row in rows
        for cid, params in zip(row["instruction_id_list"], row["kwargs"], strict=True)
    ]
    assert len(given) == 1550
    for cid, params in given:
        text = constraint(cid, params).text
        said = [
            x for value in params.values() for x in (value if isinstance(value, list) else [value])
        ]
        assert all(str(x) in text for x in said), text


def test_only_the_reasoning_is_judged() -> None:
    wanted = constraint("reasoning:no_comma", {})
    assert check(wanted, "<think>a b</think>a, b").passed
    assert check(wanted, "a b</think>a, b").passed
    assert not check(wanted, "<think>a, b</think>a b").passed
    for hidden in ("a b", "<think></think>a b", "<think>a b", "<think> \n</think>a"):
        assert check(wanted, hidden).measured == "nothing there for scope reasoning"


@given(st.text(max_size=40).filter(lambda x: "think>" not in x))
def test_the_same_text_has_the_same_verdict_as_reasoning_and_as_response(text: str) -> None:
    for cid, params in ((COMMA, {}), ("startend:quotation", {})):
        alone = check(constraint(cid, params), text).passed
        asked = constraint(cid, params, "reasoning")
        assert check(asked, f"<think>{text}</think>x,").passed == alone


@pytest.mark.parametrize(
    ("scope", "parts"),
    [
        ("each_line", ["# T", "- a b", "  2) c", "text", "| x | y |", "|---|---|", "| 1 | 2 |"]),
        ("each_bullet", ["a b", "c"]),
        ("each_paragraph", ["# T\n- a b\n  2) c", "text", "| x | y |\n|---|---|\n| 1 | 2 |"]),
        ("each_cell", ["1", "2"]),
    ],
)
def test_the_parts_of_a_response(scope, parts) -> None:
    text = "# T\n- a b\n  2) c\n \ntext\n\n| x | y |\n|---|---|\n| 1 | 2 |\n"
    assert parts_of(text, scope) == parts


def test_every_part_has_to_pass_and_there_has_to_be_one() -> None:
    short = constraint("length/words", {"op": "at_most", "n": 2}, "each_bullet")
    assert check(short, "Here are some points:\n* a b\n* c").passed
    assert check(short, "* a b c\n* c").measured == "3"
    assert not check(short, "no bullet").passed


def test_more_parts_than_can_be_judged_in_time_are_an_error() -> None:
    each = constraint(COMMA, {}, "each_line")
    assert check(each, "a\n" * 10_000).passed
    assert check(each, "a\n" * 10_001) == ("error", "more than 10000 texts to judge")
    assert check(each, "a,b\n" + "a\n" * 10_001).outcome == "fail"
    starred = constraint(
        "keywords:letter_frequency",
        {"letter": "*", "let_frequency": 1, "let_relation": "less than"},
        "each_line",
    )
    assert check(starred, "*a\n" * 5_000, strict=False).passed
    assert check(starred, "*a\n" * 5_001, strict=False).outcome == "error"


def test_a_language_is_told_of_a_hundred_parts() -> None:
    pytest.importorskip("langdetect")
    each = constraint("language:response_language", {"language": "en"}, "each_line")
    line = "The weather in the north of England is cold and wet.\n"
    assert check(each, line * 100).passed
    assert check(each, line * 101).outcome == "error"


def test_a_table_has_a_head_and_a_rule_of_the_same_width() -> None:
    assert tables_of("a | b\n--|:--\n1 | 2\n\n3 | 4") == [[["a", "b"], ["1", "2"]]]
    assert tables_of("a | b\n--|--|--\n1 | 2") == []
    assert tables_of("|---|\n|---|") == [[["---"]]]


def test_an_unknown_scope_is_refused() -> None:
    with pytest.raises(InputError, match="there is no scope 'each_word'; it is one of"):
        constraint(COMMA, {}, "each_word")
    assert all(kind.template for kind in KINDS.values())
