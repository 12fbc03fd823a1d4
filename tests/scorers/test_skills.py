import pytest
from pydantic import ValidationError

from gristmill.engines.requests import Completion
from gristmill.scorers.skills import Skills, is_difficult, read

ROW = {"instruction": "What is 3/4 of 20?", "output": "It is 12."}
LIST = ("fractions", "prime numbers", "Number line")


@pytest.mark.parametrize(
    ("rewards", "found"),
    [
        ([0.95, 0.9, 0.72, 0.9], False),
        ([0.98, 0.97, 0.69, 0.95], True),
        ([0.99, 0.99, 0.99, 0.84], True),
        ([0.86, 0.84, 0.84, 0.86], True),
        ([0.9], False),
        ([], None),
        (None, None),
    ],
)
def test_the_worked_steps_of_the_sheet(rewards, found) -> None:
    assert is_difficult(rewards) is found


def test_a_question_gets_the_skills_of_the_list_that_the_teacher_names(ask, script) -> None:
    engine = script({"### Skills that it takes": ["1. Fractions\n- prime numbers.\nmagic"]})
    row = ask(Skills(skills=LIST), ROW, engine)
    assert (row["skills"], row["n_unknown"]) == (["fractions", "prime numbers"], 1)
    assert "fractions\nprime numbers\nNumber line" in engine.calls[0].prompt[-1]["content"]
    assert "It is 12" not in engine.calls[0].prompt[-1]["content"]


def test_the_answer_is_shown_where_skills_are_missing(ask, script) -> None:
    engine = script({("It is 12.", "### Skills that are missing"): ["number LINE"]})
    assert ask(Skills(skills=LIST, of="missing"), ROW, engine)["skills"] == ["Number line"]


def test_none_is_an_answer_and_other_words_are_none(ask, script) -> None:
    assert ask(Skills(skills=LIST), ROW, script({"3/4": ["None"]}))["skills"] == []
    row = ask(Skills(skills=LIST), ROW, script({"3/4": ["I cannot say."]}))
    assert (row["skills"], row["flags"]) == (None, ["judge_parse_fail"])
    row = ask(Skills(skills=LIST), ROW, script({"3/4": [Completion("", "stop", 9, 0)]}))
    assert (row["skills"], row["flags"]) == (None, ["judge_parse_fail"])


def test_an_easy_question_is_not_asked_about(ask, script) -> None:
    stage = Skills(skills=LIST, of="missing", steps="rewards")
    easy = ask(stage, {**ROW, "rewards": [0.9, 0.9]}, script({}))
    assert (easy["skills"], easy["is_difficult"]) == ([], False)
    hard = ask(stage, {**ROW, "rewards": [0.9, 0.5]}, script({"3/4": ["fractions"]}))
    assert (hard["skills"], hard["is_difficult"]) == (["fractions"], True)


def test_without_an_answer_nothing_can_be_missing(ask, script) -> None:
    row = ask(Skills(of="missing"), {"instruction": "What?", "output": " "}, script({}))
    assert (row["skills"], row["flags"]) == (None, ["empty_response"])


def test_at_most_so_many_are_kept_each_once() -> None:
    assert read("fractions\nfractions\nNumber line", LIST) == (["fractions", "Number line"], 0)


def test_the_list_may_be_a_file(tmp_path) -> None:
    path = tmp_path / "skills.txt"
    path.write_text("fractions\n\nprimes\n")
    assert Skills(skills=str(path)).skills == ("fractions", "primes")
    with pytest.raises(ValidationError, match=r"cannot read 'gone.txt' as lines of text"):
        Skills(skills="gone.txt")
