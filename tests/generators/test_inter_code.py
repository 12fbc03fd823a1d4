"""InterCode: Bash and SQL environments, and episodes that end as the right command does."""

import json
from itertools import pairwise

import pytest

from gristmill.engines.requests import Completion
from gristmill.engines.sandbox import Verdict
from gristmill.engines.sandbox.environments import ended, folder, session
from gristmill.formats.recipe_files import shipped
from gristmill.generators.inter_code import WRONG_FORM, InterCode
from gristmill.text.commands import Ended, bash_reward, sql_reward, tf_idf, weighed

FILES = [
    {"path": "a/one.txt", "text": "5\n3\n"},
    {"path": "b.txt", "text": "{x}\r\nGrüße"},
]
BASH = {"instruction": "Sort {a}.", "command": "sort -o a/one.txt a/one.txt", "files": FILES}
SQL = {
    "instruction": "Who is old?",
    "command": "SELECT name FROM p WHERE age > 30",
    "tables": "CREATE TABLE p (name, age); INSERT INTO p VALUES ('Ada', 40), ('Bo', 31), ('Cy', 5)",
}


def run(command: str) -> str:
    return f"I try it.\n<execute>{command}</execute>"


SUBMIT = "Done. <submit>"


def act(ask, script, sandbox, replies, row=BASH, **changes):
    engine = script({row["instruction"]: replies[:1], "Observation:": replies[1:]})
    found = ask(InterCode(**changes), row, {"generator": engine, "sandbox": sandbox})
    return found, engine.calls


def seen(row) -> list[str]:
    return [t["content"] for t in row["messages"] if t["content"].startswith("Observation:")]


def test_the_reward_has_the_values_of_the_paper_s_formula() -> None:
    assert [weighed(*parts) for parts in ((0, 1, 1), (1, 1, 1), (2, 0, 0.5))] == [
        1.0,
        pytest.approx(0.7219, abs=1e-4),
        pytest.approx(0.1765, abs=1e-4),
    ]
    gold = Ended("x", {"a": "1", "b": "2", "c": "3"})
    assert bash_reward(gold, gold) == 1
    assert bash_reward(gold, Ended("x", {"a": "1", "b": "0", "d": "4"})) == weighed(2, 0.5, 1)
    assert tf_idf("a b", "a c") == pytest.approx(1 / (1 + (1 + 0.4054651) ** 2))
    assert (tf_idf("", " "), tf_idf("", "a"), tf_idf("- ", "+")) == (1, 0, 0)
    assert sql_reward(Ended("1\n1\n2", {}), Ended("1\n2\n3", {})) == 0.5
    assert sql_reward(Ended("1", {}), Ended("1", {"t": "x"})) == 0


def test_an_episode_that_ends_as_the_right_command_does_stays(ask, script, sandbox) -> None:
    replies = [run("cd a && cat one.txt"), run("sort one.txt > ../x && mv ../x one.txt"), SUBMIT]
    row, calls = act(ask, script, sandbox, replies)
    assert seen(row) == [
        "Observation: 5\n3\n(9 turns left.)",
        "Observation: (nothing)\n(8 turns left.)",
    ], "a folder that was entered stays"
    assert (row["reward"], row["success"], row["actions"][0]) == (1.0, True, "cd a && cat one.txt")
    assert "sort -o" not in str([call.prompt for call in calls]), "nobody sees the right command"
    for before, after in pairwise(calls):
        assert after.prompt[: len(before.prompt)] == before.prompt


def test_rows_of_a_query_count_in_any_order_unless_it_says_one(ask, script, sandbox) -> None:
    replies = [run("SELEC"), run("SELECT name FROM p WHERE age > 30 ORDER BY age"), SUBMIT]
    row, _ = act(ask, script, sandbox, replies, SQL)
    assert "OperationalError" in seen(row)[0]
    assert seen(row)[1] == 'Observation: ["Bo"]\n["Ada"]\n(8 turns left.)'
    assert row["output"] == "SELEC\nSELECT name FROM p WHERE age > 30 ORDER BY age"
    ordered = {**SQL, "command": SQL["command"] + " ORDER BY name"}
    drop, _ = act(ask, script, sandbox, replies, ordered)
    assert drop.code == "unsolved"


@pytest.mark.parametrize(
    ("replies", "row", "code"),
    [
        ([run("rm b.txt"), SUBMIT], BASH, "unsolved"),
        ([run("sort -o a/one.txt a/one.txt; echo 1"), SUBMIT], BASH, "unsolved"),
        ([run("DROP TABLE p"), run("VALUES ('Ada'), ('Bo')"), SUBMIT], SQL, "unsolved"),
        ([SUBMIT], BASH, "unsolved"),
        (["Sorry, I cannot.", run("ls") + SUBMIT], BASH, "not_submitted"),
        ([run("kill -9 $PPID"), run("sleep 9")], BASH, "not_submitted"),
        ([run("date +%N"), run("ls")], BASH, "unsteady"),
        ([" "], BASH, "empty"),
        ([Completion(run("ls"), "length", 9, 9)], BASH, "cut_off"),
    ],
)  # fmt: skip
def test_what_ends_otherwise_leaves(ask, script, sandbox, replies, row, code) -> None:
    drop, _ = act(ask, script, sandbox, replies, row, turns=len(replies), timeout_s=0.5)
    assert drop.code == code
    assert code in InterCode.codes


def test_a_wrong_form_is_said_and_less_than_all_can_be_asked_for(ask, script, sandbox) -> None:
    replies = [run("a") + run("b"), run("printf '3\\n5\\n' > a/one.txt; echo ok"), SUBMIT]
    row, _ = act(ask, script, sandbox, replies, min_reward=0.5)
    assert seen(row)[0] == f"Observation: {WRONG_FORM}\n(9 turns left.)"
    assert (row["reward"], row["success"]) == (0.67, False)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"command": "date +%N"}, "unstable"),
        ({"command": "head /dev/urandom > b.txt"}, "unstable"),
        ({"command": "nothing_of_this_name"}, "bad_command"),
        ({"command": "true"}, "bad_command"),
        ({"command": "SELECT x", "tables": "CREATE TABLE p (a)"}, "bad_command"),
        ({"tables": "CREATE"}, "bad_environment"),
        ({"files": [{"path": "../x", "text": ""}]}, "bad_environment"),
        ({"files": [{"path": "/etc/x", "text": ""}]}, "bad_environment"),
        ({"files": [{"path": "x", "text": "x" * 200_000}]}, "bad_environment"),
    ],
)
def test_a_request_that_proves_nothing_asks_nobody(ask, script, sandbox, change, code) -> None:
    drop = ask(InterCode(), {**BASH, **change}, {"generator": script({}), "sandbox": sandbox})
    assert drop.code == code
    assert code in InterCode.codes


def test_two_resets_are_equal_and_the_right_command_scores_1_against_itself(sandbox) -> None:
    first = folder({file["path"]: file["text"] for file in FILES})
    asked = [session((first, "print(tree())"), 5.0, attempt) for attempt in range(2)]
    one, other = (ended(verdict) for verdict in sandbox.run_all(asked))
    assert one == other
    assert one.changes == {}
    assert "a/one.txt" in one.output


def test_what_cannot_be_read_is_no_end() -> None:
    cell = {"status": "pass", "stdout": "[" * 9000, "stderr": "", "value": None, "error": None}
    assert ended(Verdict("pass", cells=[cell, cell])) is None
    assert ended(Verdict("pass", cells=[cell, {**cell, "stdout": "[]"}])) is None
    assert ended(Verdict("error", cells=[])) is None


@pytest.mark.slow
def test_every_request_that_comes_along_is_met_by_its_command(ask, script, sandbox) -> None:
    path = shipped()["inter_code"].with_name("inter_code.seeds.jsonl")
    for row in map(json.loads, path.read_text().splitlines()):
        found, _ = act(ask, script, sandbox, [run(row["command"]), SUBMIT], row)
        assert (found["reward"], found["success"]) == (1, True)
