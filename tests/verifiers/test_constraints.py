import json

import pytest

from gristmill.verifiers.constraints import Constraints, check_ifeval

COMMA = {"cid": "punctuation:no_comma", "params": {}}
WORDS = {
    "cid": "length_constraints:number_words",
    "params": {"num_words": 3, "relation": "at least"},
}


def test_all_constraints_must_hold() -> None:
    row = {"output": "one two three", "constraints": [COMMA, WORDS]}
    assert Constraints()(row) == {
        "passed": True,
        "status": "pass",
        "detail": "",
        "strict": [True, True],
        "loose": [True, True],
        "measured": ["0", "3"],
        "reward": 2,
    }


def test_what_fails_says_what_was_measured() -> None:
    found = Constraints()({"output": "Sure,\none two", "constraints": [COMMA, WORDS]})
    assert (found["passed"], found["status"]) == (False, "fail")
    assert found["detail"] == "punctuation:no_comma: 1"
    assert (found["strict"], found["loose"]) == ([False, True], [True, True])
    found = Constraints(mode="loose")({"output": "Sure,\none two", "constraints": [COMMA, WORDS]})
    assert (found["passed"], found["detail"]) == (True, "")


def test_parameters_may_be_json_or_a_struct_with_holes() -> None:
    holed = {**WORDS, "params": {**WORDS["params"], "keyword": None}, "text": "Use words."}
    written = {**WORDS, "params": json.dumps(WORDS["params"])}
    found = Constraints()({"output": "one two", "constraints": [holed, written]})
    assert found["strict"] == [False, False]
    found = Constraints()({"output": "one two", "constraints": json.dumps([holed, COMMA])})
    assert found["strict"] == [False, True]


def test_ids_and_kwargs_are_columns_of_their_own_in_ifeval() -> None:
    stage = Constraints(of="instruction_id_list", kwargs="kwargs")
    assert stage.reads() == {"output", "instruction_id_list", "kwargs"}
    row = {
        "output": "one, two",
        "instruction_id_list": ["punctuation:no_comma", "detectable_format:title"],
        "kwargs": [None, {"num_words": None}],
    }
    assert stage(row)["strict"] == [False, False]
    assert stage(row | {"kwargs": [None]})["status"] == "no_constraints"


@pytest.mark.parametrize(
    "bad",
    [
        {"cid": "punctuation:no_coma", "params": {}},
        {"cid": "length_constraints:number_words", "params": {}},
        {"cid": "punctuation:no_comma", "params": "{"},
        {"cid": "punctuation:no_comma", "params": "3"},
        {"params": {}},
        None,
    ],
)
def test_what_is_no_constraint_is_never_a_pass(bad) -> None:
    found = Constraints()({"output": "one two three", "constraints": [WORDS, bad]})
    assert (found["passed"], found["status"]) == (None, "error")
    assert (found["strict"], found["loose"]) == ([True, None], [True, None])
    assert found["detail"]
    failing = Constraints()({"output": "one", "constraints": [WORDS, bad]})
    assert (failing["passed"], failing["status"]) == (False, "fail")


def test_a_constraint_may_be_on_the_reasoning_alone() -> None:
    row = {"output": "<think>a b</think>a, b", "constraints": [COMMA | {"scope": "reasoning"}]}
    assert Constraints()(row)["strict"] == [True]
    row["constraints"] = [COMMA | {"scope": "thought"}]
    assert Constraints()(row)["strict"] == [None]


@pytest.mark.parametrize(
    ("output", "strict", "reward"),
    [
        ("<think>well, then</think>one two three", [True, True], 2),
        ("well,</think>a,</think>\n one two three</s> <|im_end|>\n", [True, True], 2),
        ("<think>one two three</think>one, two", [False, False], 0),
        (" <think>one two three", [False, False], 0),
        ("one two three</s", [True, True], 2),
        ("one two three <think>, it said", [False, True], 1),
    ],
)
def test_reasoning_and_marks_of_an_end_are_no_answer(output, strict, reward) -> None:
    found = Constraints()({"output": output, "constraints": [COMMA, WORDS]})
    assert (found["strict"], found["reward"]) == (strict, reward)


def test_the_reward_counts_what_holds_by_its_mode() -> None:
    row = {"output": "Sure,\none two three", "constraints": [COMMA, WORDS, {"cid": "x"}]}
    assert Constraints()(row)["reward"] == 1
    assert Constraints(mode="loose")(row)["reward"] == 2
    assert Constraints()({**row, "constraints": []})["reward"] is None


def test_a_row_without_constraints_is_not_judged() -> None:
    for none in ([], None, "", "[", "3", "{}", 3):
        found = Constraints()({"output": "one", "constraints": none})
        assert (found["passed"], found["status"], found["strict"]) == (None, "no_constraints", [])


def test_the_catalogue_is_callable_without_a_run() -> None:
    assert check_ifeval(["punctuation:no_comma"], [{}], "a, b") == [False]
