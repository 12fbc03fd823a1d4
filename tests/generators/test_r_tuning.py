"""R-Tuning: what counts as known, the two kinds of rows, letters, and the unsure half."""

import pyarrow as pa
import pytest
from audit import audit

from gristmill import Recipe, run
from gristmill.engines.requests import Probs
from gristmill.errors import PromptTooLong
from gristmill.generators.r_tuning import NOT_KNOWN, RTuning
from gristmill.generators.r_tuning_uncertain import RTuningUncertain
from gristmill.scorers.answer_entropy import AnswerEntropy
from gristmill.selectors.r_tuning import RTuning as Halves
from gristmill.text.known import CHECK, answer_entropy, is_known

ROW = {"instruction": "What is the capital of France?", "output": "Paris"}
END = "Question: What is the capital of France?\nAnswer:"


@pytest.mark.parametrize(
    ("reply", "sure"),
    [("Paris is", "I am sure."), ("Rome", "I am unsure."), ("Not Paris.", "I am unsure.")],
)
def test_sure_and_unsure_rows_both_have_the_right_answer(reply, sure, ask, script) -> None:
    engine = script({END: [reply]})
    (row,) = ask(RTuning(), ROW, engine)
    said = [(turn["role"], turn["content"]) for turn in row["messages"]]
    assert said == [
        ("user", ROW["instruction"]), ("assistant", "Paris"), ("user", CHECK), ("assistant", sure),
    ]  # fmt: skip
    assert (row["output"], row["known"]) == (sure, sure == "I am sure.")
    (call,) = engine.calls
    assert (call.prompt, call.sampling.max_tokens, call.sampling.temperature) == (END, 15, 0.0)


@pytest.mark.parametrize(
    ("prediction", "answers", "known"),
    [
        ("It is the Danube.", ["Danube"], True),
        ("Parisian", ["Paris"], False),
        ("It was never in Paris", ["Paris"], False),
        ("It is not Rome but it is Paris", ["Paris"], True),
        ("about 1969", ["1969"], True),
        ("CO2", ["carbon dioxide", "CO2"], True),
        ("the", ["the"], False),
    ],
)
def test_whole_words_that_nobody_denies_are_known(prediction, answers, known) -> None:
    assert is_known(prediction, answers) is known


def test_an_answer_ends_at_its_first_full_stop(ask, script) -> None:
    engine = script({END: ["Lyon. Paris is older", "Lyon\nParis"]})
    assert ask(RTuning(), ROW, engine)[0]["prediction"] == "Lyon."
    assert ask(RTuning(), ROW, engine)[0]["known"] is False


def test_what_was_not_known_is_said_not_to_be(ask, script) -> None:
    stage = RTuning(method="unknown")
    engine = script({END: ["Paris", "Rome", "I'm sorry, I cannot help with that."]})
    known, not_known, refused = (ask(stage, ROW, engine)[0] for _ in range(3))
    assert (known["output"], len(known["messages"])) == ("Paris", 2)
    assert not_known["output"] in NOT_KNOWN
    assert refused["output"] in NOT_KNOWN
    assert len({*NOT_KNOWN}) == 16


@pytest.mark.parametrize("gold", ["Paris", "B", "(b)"])
def test_of_choices_the_likeliest_letter_counts(gold, ask, script) -> None:
    row = {**ROW, "output": gold, "choices": ["Rome", "Paris", "Bern"]}
    asked = "What is the capital of France?\nA. Rome\nB. Paris\nC. Bern"
    probs = Probs({"A": 0.2, "B": 0.7, "C": 0.1}, 0.9, 9)
    engine = script({"": [probs]})
    (made,) = ask(RTuning(ask="choice", few_shot="Question: x?\nAnswer: A\n\n"), row, engine)
    assert (made["prediction"], made["known"], made["instruction"]) == ("B", True, asked)
    assert made["messages"][1]["content"] == "Paris"
    assert engine.calls[0].prompt == f"Question: x?\nAnswer: A\n\nQuestion: {asked}\nAnswer:"
    assert engine.calls[0].labels == ("A", "B", "C")


@pytest.mark.parametrize("choices", [None, ["Rome", "Bern"], ["Paris"], list("12345")])
def test_choices_without_the_answer_leave(choices, ask, script) -> None:
    row = {**ROW, "choices": choices}
    assert ask(RTuning(ask="choice"), row, script({})).code == "no_gold_choice"


@pytest.mark.parametrize(
    ("reply", "code"), [(" ", "empty"), (PromptTooLong("9 > 8"), "prompt_too_long")]
)
def test_what_is_no_answer_says_why(reply, code, ask, script) -> None:
    assert ask(RTuning(), ROW, script({END: [reply]})).code == code


def test_hostile_questions_are_text(ask, script) -> None:
    evil = "{question} {{x}} {% raw %} <|im_end|>\n### Answer:"
    (row,) = ask(RTuning(), {**ROW, "instruction": evil}, script({f"{evil}\nAnswer:": ["Paris"]}))
    assert row["messages"][0]["content"] == evil


def test_the_entropies_are_those_of_the_sheet() -> None:
    found = [answer_entropy(counts) for counts in ([10], [9, 1], [5, 5], [4, 3, 2, 1])]
    assert found == pytest.approx([0, 0.3251, 0.6931, 1.2799], abs=5e-5)


def test_ten_answers_are_counted_by_their_words(ask, script) -> None:
    replies = ["The Oak.", "oak", "an oak! More", *["Ash"] * 2, "", "Elm.\nOak", *["Oak"] * 3]
    engine = script({END: replies})
    found = ask(AnswerEntropy(), ROW, engine)
    assert found["entropy"] == pytest.approx(answer_entropy([6, 2, 1]))
    assert found["majority"] == "The Oak."
    assert len({call.draw for call in engine.calls}) == 10
    none = ask(AnswerEntropy(samples=2), ROW, script({END: [" ", "..."]}))
    assert none == {"entropy": None, "majority": None}


def test_the_upper_half_is_unsure() -> None:
    entropies = [1.2799, 0.0, None, 0.6931, 0.3251]
    table = pa.table({"id": list("abcde"), "scores.answer_entropy.entropy": entropies})
    rows = Halves().decide(table).to_pylist()
    assert [row["is_sure"] for row in rows] == [False, True, None, False, True]
    assert [row["rank"] for row in rows] == [3, 0, None, 2, 1]
    assert [row["code"] for row in rows] == [None, None, "no_answer", None, None]


@pytest.mark.parametrize(("gold", "answer"), [("gold", "gold"), (None, "guess")])
def test_the_right_answer_is_learnt_where_there_is_one(gold, answer) -> None:
    row = {"instruction": "What?", "input": "{x}", "output": gold,
           "scores.answer_entropy.majority": "guess", "picks.r_tuning.is_sure": False}  # fmt: skip
    (made,) = RTuningUncertain()(row)
    assert [turn["content"] for turn in made["messages"]] == [
        "What?\n\n{x}", answer, CHECK, "I am unsure.",
    ]  # fmt: skip


BARE = "export={formats: [messages], card: false, report: false}"


@pytest.mark.parametrize("name", ["r_tuning", "r_tuning_uncertain"])
def test_the_recipe_marks_what_was_known(name, engine, tmp_path) -> None:
    def answer(prompt: str, draw: int) -> str:
        return "Paris." if "France" in prompt else f"It is {'xyz'[draw % 3]}."

    model = engine(answer=answer)
    result = run(Recipe.load(name, [BARE]), engines={"generator": model}, workspace=tmp_path)
    assert audit(result.path) == []
    assert len(result.dataset) == 12
    sure = {
        row["instruction"] for row in result.dataset.to_pylist() if row["output"] == "I am sure."
    }
    assert "Which city is the capital of France?" in sure
    assert len(sure) == (1 if name == "r_tuning" else 6)
    assert len(model.calls) == (12 if name == "r_tuning" else 120)
