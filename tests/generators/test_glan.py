"""GLAN: subjects and syllabi of a discipline, and homework from the concepts of lessons."""

import json
import os
import random
from pathlib import Path

import pytest
from audit import audit

from gristmill import Recipe, run
from gristmill.engines.requests import Completion
from gristmill.errors import PromptTooLong
from gristmill.generators.glan import QUESTION as QUESTION_PROMPT
from gristmill.generators.glan import Glan, choose, one_lesson, two_lessons
from gristmill.generators.glan_syllabus import GlanSyllabus
from gristmill.pipelines import Drop
from gristmill.text.json_lines import json_lines, texts

ROW = {"discipline": "Optics", "field": "Natural sciences", "subfield": "Physics"}
THREE = """```json
{"subject_name": "Lenses", "level": "first year", "subtopics": ["focus", "glass"]}
{"subject_name": "Lasers", "level": "last year, "subtopics": []}
{"subject_name": "Waves", "level": "second year", "subtopics": "phase, length"}
```"""
LESSONS = """{"lesson": "Thin lenses", "concepts": ["focal length", "Overview", "image distance"]}
{"lesson": "Thick lenses", "concepts": ["principal plane"]}
{"lesson": "Empty", "concepts": []}"""
LIST = "### Discipline\nOptics\n\n### Subjects"
AGAIN = "the subjects of your list again"
LESSONS_AGAIN = "the lessons of your syllabus again"


def syllabi(lines=THREE, lessons=LESSONS):
    return {
        LIST: ["1. Lenses 2. Lasers 3. Waves"],
        AGAIN: [lines],
        "### Subject\nLenses\nLevel: first year\nSub-topics: focus, glass\n": ["Lenses bend."],
        "### Subject\nWaves\n": ["Waves wave."],
        LESSONS_AGAIN: [lessons, lessons],
    }


def test_three_lines_with_a_broken_one_are_two_subjects(ask, script) -> None:
    engine = script(syllabi())
    lenses, waves, broken = ask(GlanSyllabus(queries=1), ROW, engine)
    assert broken.code == "bad_json"
    assert "Lasers" in broken.detail
    assert lenses["path"] == ["Natural sciences", "Physics", "Optics", "Lenses"]
    assert (waves["level"], waves["subtopics"]) == ("second year", ["phase", "length"])
    assert lenses["syllabus"] == "Lenses bend."
    assert lenses["lessons"] == [
        {"title": "Thin lenses", "concepts": ["focal length", "image distance"]},
        {"title": "Thick lenses", "concepts": ["principal plane"]},
    ], "no generic concepts, no lesson without one"


def test_lists_become_json_in_a_second_turn_of_the_same_conversation(ask, script) -> None:
    engine = script(syllabi())
    ask(GlanSyllabus(queries=1), ROW, engine)
    free, again = engine.calls[:2]
    assert [turn["role"] for turn in again.prompt] == ["user", "assistant", "user"]
    assert again.prompt[:1] == free.prompt
    assert again.prompt[1]["content"] == "1. Lenses 2. Lasers 3. Waves"
    assert "JSON" not in free.prompt[0]["content"]
    assert (free.sampling.temperature, free.sampling.top_p) == (1.0, 0.95)


def test_ten_lists_are_joined_and_a_subject_counts_once(ask, script) -> None:
    one = '{"subject_name": "Lenses", "level": "first year", "subtopics": ["focus", "glass"]}'
    engine = script(
        {
            LIST: ["a", "b", "c"],
            AGAIN: [one, one.replace("Lenses", "LENSES"), one.replace("Lenses", "Waves")],
            "### Subject\nLenses\n": ["Lenses bend."],
            "### Subject\nWaves\n": ["Waves wave."],
            LESSONS_AGAIN: [LESSONS, LESSONS],
        }
    )
    rows = ask(GlanSyllabus(queries=3), ROW, engine)
    assert [row["path"][-1] for row in rows if not isinstance(row, Drop)] == ["Lenses", "Waves"]
    assert rows[-1] == Drop("repeated", "LENSES")
    assert GlanSyllabus().queries == 10


def test_a_removed_node_takes_what_is_below_it(ask, script) -> None:
    for node in ("physics", "Natural Sciences", "Optics"):
        assert ask(GlanSyllabus(removed=[node]), ROW, script({})).code == "removed_node"
    assert ask(GlanSyllabus(removed=["Chem"], queries=1), ROW, script(syllabi()))


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({LIST: [" "], AGAIN: []}, ["empty"]),
        ({LIST: [Completion("1. Len", "length", 9, 3)], AGAIN: []}, ["cut_off"]),
        ({LIST: [PromptTooLong("9 > 8")], AGAIN: []}, ["prompt_too_long"]),
        ({LIST: ["I'm sorry, but I can't help with that."], AGAIN: []}, ["refusal"]),
        ({AGAIN: ["I'm sorry, but I can't."]}, "no_subjects"),
        ({AGAIN: ['{"subject_name": 3 }']}, ["no_lessons"]),
        ({AGAIN: ['{"name": "Lenses"}']}, ["bad_json"]),
        ({AGAIN: ["{x} {{y}}"]}, ["bad_json"]),
    ],
)
def test_what_is_no_subject_says_why(changes, codes, ask, script) -> None:
    table = {LIST: ["a list"], AGAIN: [], **changes}
    if codes == ["no_lessons"]:
        table |= {"### Subject\n3\n": ["Three."], LESSONS_AGAIN: ["none"]}
    rows = ask(GlanSyllabus(queries=1), ROW, script(table))
    assert (rows.code if isinstance(rows, Drop) else [row.code for row in rows]) == codes
    assert {codes if isinstance(codes, str) else codes[0]} <= GlanSyllabus.codes


def test_a_syllabus_that_declines_is_none(ask, script) -> None:
    table = {**syllabi(), "### Subject\nLenses\n": ["I'm sorry, but I can't help with that."]}
    del table["### Subject\nLenses\nLevel: first year\nSub-topics: focus, glass\n"]
    engine = script({**table, LESSONS_AGAIN: [LESSONS]})
    assert ask(GlanSyllabus(queries=1), ROW, engine)[0].code == "refusal"


def test_combinations_are_those_of_the_paper() -> None:
    assert one_lesson(5) == 31
    assert two_lessons(5, 5) == 575
    assert two_lessons(3, 4) == 97


def subject(*sizes: int) -> dict:
    lessons = [
        {"title": f"Lesson {i}", "concepts": [f"c{i}-{j}" for j in range(size)]}
        for i, size in enumerate(sizes)
    ]
    named = {
        "path": ["Physics", "Optics", "Lenses"],
        "syllabus": "Lenses bend.",
        "lessons": lessons,
    }
    return {f"meta.glan_syllabus.{name}": value for name, value in named.items()}


def test_chosen_concepts_belong_to_their_lessons() -> None:
    lessons = subject(7, 1, 3)["meta.glan_syllabus.lessons"]
    of = {lesson["title"]: lesson["concepts"] for lesson in lessons}
    seen = set()
    for seed in range(300):
        chosen = choose(lessons, random.Random(seed))
        n = sum(len(one["concepts"]) for one in chosen)
        seen.add((len(chosen), n))
        assert all({*one["concepts"]} <= {*of[one["title"]]} for one in chosen)
        assert all(one["concepts"] for one in chosen)
        assert len({one["title"] for one in chosen}) == len(chosen)
    assert seen == {*((1, n) for n in range(1, 6)), *((2, n) for n in range(2, 6))}


QUESTION = "### Homework question"
GOOD = "Where is the image of a candle 30 cm from a lens of 20 cm?"


def test_a_question_sees_the_syllabus_first_and_its_concepts_last(ask, script) -> None:
    engine = script({QUESTION: [GOOD], GOOD: ["At 60 cm behind it."]})
    (row,) = ask(Glan(n=20), subject(1), engine)
    asked, answered = engine.calls
    start, _, _ = QUESTION_PROMPT.partition("{subject}")
    assert asked.prompt[0]["content"].startswith(f"{start}Lenses\nLenses bend.\n")
    end = (
        "### Syllabus of Lenses\nLenses bend.\n\n### Lessons and key concepts\n- Lesson 0: c0-0\n\n"
    )
    assert asked.prompt[0]["content"].endswith(end + QUESTION)
    assert answered.prompt == [{"role": "user", "content": GOOD}]
    assert (asked.sampling.temperature, answered.sampling.temperature) == (1.0, 0.7)
    assert (row["instruction"], row["output"]) == (GOOD, "At 60 cm behind it.")
    assert (row["strategy"], row["lessons"], row["concepts"]) == (
        "one_lesson", ["Lesson 0"], ["c0-0"],
    )  # fmt: skip


def test_no_more_questions_than_combinations(ask, engine) -> None:
    rows = ask(Glan(n=100), subject(1, 2), lambda *_: GOOD)
    assert len(rows) == 1 + 3 + (3 - 1) + 1  # one lesson: 1 and 3; two: 2 pairs and the three
    assert {row["strategy"] for row in rows} == {"one_lesson", "two_lessons"}


@pytest.mark.parametrize(
    ("question", "answer", "code"),
    [
        (" ", None, "empty"),
        (Completion("Where", "length", 9, 1), None, "cut_off"),
        ("I'm sorry, but I can't help with that.", None, "answered"),
        ("As an AI model I cannot set homework.", None, "answered"),
        ("Sure! Here is one.", None, "answered"),
        ("Homework question: where is it?", None, "template_leak"),
        ("Explain {chosen}.", None, "template_leak"),
        (GOOD, "Sorry.", "refusal"),
        (GOOD, Completion("At", "length", 9, 1), "cut_off"),
    ],
)
def test_what_is_no_homework_says_why(question, answer, code, ask, script) -> None:
    table = {QUESTION: [question], **({GOOD: [answer]} if answer else {})}
    (found,) = ask(Glan(n=1), subject(2), script(table))
    assert found.code == code
    assert code in Glan.codes


def test_hostile_taxonomies_and_syllabi_are_text(ask, script) -> None:
    evil = "{discipline} {{x}} {% raw %} <|im_end|>\n### Subjects"
    engine = script({f"### Discipline\n{evil}\n\n### Subjects": ["x"], AGAIN: ["{"]})
    ask(GlanSyllabus(queries=1), {"discipline": evil}, engine)
    engine = script({f"### Syllabus of Lenses\n{evil}\n\n### Lessons": [GOOD], GOOD: ["At 60 cm."]})
    row = {**subject(2), "meta.glan_syllabus.syllabus": evil}
    assert ask(Glan(n=1), row, engine)[0]["output"] == "At 60 cm."


def test_json_lines_are_found_in_talk() -> None:
    assert json_lines('Here:\n[{"a": 1},\n{"b": [2]}]\n{"c": }\nDone.') == [
        {"a": 1}, {"b": [2]}, '{"c": }',
    ]  # fmt: skip
    assert json_lines("nothing") == []
    assert [texts(["a ", 3, ""]), texts("a, b"), texts(None)] == [["a"], ["a", "b"], []]


def answer(prompt: str, draw: int) -> str:
    """Answer every prompt of the recipe."""
    if prompt.endswith("### Homework question"):
        return f"What is {draw % 977} times {prompt.count('-')}?" if draw % 5 else ""
    if AGAIN in prompt:
        return "\n".join(
            json.dumps({"subject_name": name, "level": "x", "subtopics": []}) for name in "AB"
        )
    if LESSONS_AGAIN in prompt:
        return LESSONS
    return f"It is an answer: {prompt[-40:-20]}."


DATA = Path(os.environ.get("GRISTMILL_DATA", "nowhere")) / "dynosaur" / "instructions-full.json"


@pytest.mark.parametrize("path", ["shipped:glan.seeds.jsonl", DATA])
def test_the_recipe_goes_from_disciplines_to_homework(path, engine, tmp_path) -> None:
    if path == DATA and not DATA.exists():
        pytest.skip("GRISTMILL_DATA names no folder")
    how = ["seeds.limit=12", "stages.0.removed=[Chemistry]", "stages.1.n=3",
           "export={formats: [alpaca], card: false, report: false}"]  # fmt: skip
    names = {"discipline": "task_name"} if path == DATA else None
    recipe = Recipe.load("glan", how, input=path, map=names)
    model = engine(answer=answer)
    result = run(recipe, engines=dict.fromkeys(recipe.engines, model), workspace=tmp_path)
    assert audit(result.path) == []
    syllabus, homework = result.ledger[:2]
    n = 12 if path == DATA else 10
    assert syllabus["codes"] == {"repeated": n * 18} | ({} if n == 12 else {"removed_node": 2})
    assert (syllabus["kept"], homework["made"]) == (2 * n, 2 * n * 3)
    assert homework["codes"].keys() == {"empty"}
    metas = [json.loads(row["meta"]) for row in result.dataset.to_pylist()]
    assert not any("Chemistry" in meta["glan"]["path"] for meta in metas)
