import pyarrow as pa
import pytest
from pydantic import ValidationError

from gristmill.errors import InputError
from gristmill.selectors.stat_sel import StatSel

PROFILE = ('["a", "b"]', '["a"]', '["a", "c"]')


def decided(stage, labels, texts=None, ids=None):
    n = len(labels)
    table = {
        "id": ids or [f"{i:03}" for i in range(n)],
        "instruction": texts or [f"Question {i}" for i in range(n)],
        "scores.skills.skills": pa.array(labels, pa.list_(pa.string())),
    }
    return stage.decide(pa.table(table)).to_pylist()


def test_the_worked_profile_of_the_sheet() -> None:
    labels = [["a"]] * 40 + [["b"]] * 40 + [["c"]] * 40 + [["d"]] * 5
    assert StatSel(profile=PROFILE).missing() == {"a": 3, "b": 1, "c": 1}
    lines = decided(StatSel(profile=PROFILE), labels)
    drawn = [sum(line["times"] or 0 for line in lines[i : i + 40]) for i in (0, 40, 80)]
    assert drawn == [15, 5, 5]
    assert not any(line["keep"] for line in lines[120:])


def test_a_skill_with_few_questions_gives_all_and_counts_them_again() -> None:
    lines = decided(StatSel(profile=PROFILE), [["a"], ["a"], ["x"]])
    assert [line["times"] for line in lines] == [3, 3, None]


def test_a_question_brings_up_to_three_answers() -> None:
    lines = decided(StatSel(profile=('["a"]',)), [["a"]] * 5, ["same"] * 5)
    assert sum(line["keep"] for line in lines) == 3
    lines = decided(StatSel(profile=('["a"]',), answers=1), [["a"]] * 5, ["same"] * 5)
    assert sum(line["keep"] for line in lines) == 1


def test_the_size_is_cut_by_chance_and_the_often_drawn_come_first() -> None:
    labels = [["a"]] * 20 + [["b"]] * 20
    lines = decided(StatSel(profile=PROFILE, most=6), labels)
    kept = sorted((line["rank"], line["times"]) for line in lines if line["keep"])
    assert len(kept) == 6
    assert [times for _, times in kept] == sorted((times for _, times in kept), reverse=True)


def test_the_order_of_the_rows_and_the_seed_decide_as_they_should() -> None:
    labels = [["a"]] * 30
    plain = {x["id"]: x["times"] for x in decided(StatSel(profile=PROFILE), labels)}
    ids = [f"{i:03}" for i in range(30)][::-1]
    texts = [f"Question {i}" for i in range(30)][::-1]
    other = {x["id"]: x["times"] for x in decided(StatSel(profile=PROFILE), labels, texts, ids)}
    assert other == plain
    assert plain != {x["id"]: x["times"] for x in decided(StatSel(profile=PROFILE, seed=1), labels)}


def test_a_row_without_a_skill_leaves_with_its_code() -> None:
    lines = decided(StatSel(profile=PROFILE), [None, [], ["a"]])
    assert [line["code"] for line in lines] == ["no_skill", "no_skill", None]


def test_other_skills_and_other_lines_are_refused() -> None:
    with pytest.raises(InputError, match=r"names \['a', 'b', 'c'\], but .* has only \['x'\]"):
        decided(StatSel(profile=PROFILE), [["x"]])
    with pytest.raises(ValidationError, match=r"lines are lists such as \[\"primes\"\], found 'a'"):
        StatSel(profile=("a",))
