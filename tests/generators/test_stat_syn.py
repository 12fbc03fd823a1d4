import json

import pytest
from pydantic import ValidationError

from gristmill.engines.requests import Completion
from gristmill.formats.recipe_files import shipped
from gristmill.generators.stat_syn import StatSyn
from gristmill.pipelines import Drop
from gristmill.scorers.skills import SKILLS

BANK = tuple(
    json.dumps({"instruction": f"Which {name} is the {i}th?", "skills": [name]})
    for name in ("prime", "square")
    for i in range(4, 9)
)
TWO = "1. Is 91 a prime number?\n2. Which primes divide 60?"
LACKS = {"scores.skills.skills": ["prime"]}


def made(ask, script, said, row=LACKS):
    return ask(StatSyn(bank=BANK), row, script({"### Skill\nprime\n": [said]}))


def test_every_missing_skill_gets_two_questions_by_three_examples_of_it(ask, script) -> None:
    other = "1. How many squares are below 99?\n2. Is 361 a square?"
    engine = script({"### Skill\nprime\n": [TWO], "### Skill\nsquare\n": [other]})
    row = {"scores.skills.skills": ["prime", "square", "prime"]}
    found = ask(StatSyn(bank=BANK), row, engine)
    assert [line["instruction"] for line in found] == [
        "Is 91 a prime number?", "Which primes divide 60?", "How many squares are below 99?",
        "Is 361 a square?",
    ]  # fmt: skip
    assert [line["skill"] for line in found] == ["prime", "prime", "square", "square"]
    for call, name in zip(engine.calls, ("prime", "square"), strict=True):
        shown = call.prompt[0]["content"].partition("### Examples\n")[2].splitlines()[:4]
        assert all(f"- Which {name} is the" in line for line in shown[:3])
        assert (len({*shown}), shown[3]) == (4, "")


@pytest.mark.parametrize(
    ("said", "codes"),
    [
        (TWO + "\n3. Name a prime.", [None, None, "over_limit"]),
        ("Here are none.", ["no_list"]),
        (" ", ["empty"]),
        (Completion(TWO, "length", 9, 9), [None, "cut_off"]),
        ("1. Which prime is the 5th one?\n2. Name four primes.", ["copied_example", None]),
        ("1. New questions: is 7 a prime?\n2. I'm sorry, I can't write more.",
         ["template_leak", "refusal"]),
        ("1. How many examples of primes below 30 end in 7?\n2. Which skill is a prime?",
         [None, None]),
    ],
)  # fmt: skip
def test_what_is_no_new_question_leaves_with_its_code(said, codes, ask, script) -> None:
    found = made(ask, script, said)
    assert [line.code if isinstance(line, Drop) else None for line in found] == codes


@pytest.mark.parametrize("skills", [None, []])
def test_a_row_that_lacks_nothing_leaves(skills, ask, script) -> None:
    found = ask(StatSyn(bank=BANK), {"scores.skills.skills": skills}, script({}))
    assert found == Drop("no_skill", "scores.skills.skills is null or empty")


def test_a_skill_without_a_question_in_the_bank_is_told(ask, script) -> None:
    row = {"scores.skills.skills": ["prime", "cube"]}
    assert made(ask, script, TWO, row)[2] == Drop(
        "no_example", "the bank has no question of 'cube'"
    )


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "7", '{"instruction": " ", "skills": []}', '{"instruction": 7, "skills": ["a"]}',
     '{"instruction": "Why?", "skills": [1]}', '{"skills": ["a"]}'],
)  # fmt: skip
def test_another_line_in_the_bank_is_refused(line) -> None:
    with pytest.raises(ValidationError, match=r"lines are objects such as"):
        StatSyn(bank=(line,))


def test_the_bank_that_comes_along_has_the_skills_of_the_scorer_and_of_the_seeds() -> None:
    seeds = shipped()["stat_syn"].with_suffix(".seeds.jsonl").read_text("utf-8").splitlines()
    missing = {name for line in seeds for name in json.loads(line)["missing"]}
    known = {name for line in StatSyn().bank for name in json.loads(line)["skills"]}
    assert missing <= known <= {*SKILLS}
