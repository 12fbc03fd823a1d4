"""AutoIF: a longer list, functions that agree, tasks, answers and pairs."""

import json
import os
from pathlib import Path

import pytest

from gristmill.engines.requests import Completion
from gristmill.engines.sandbox.written_checks import accuracy, agreed, asked, said
from gristmill.errors import InputError
from gristmill.filters.auto_if_checks import AutoIfChecks
from gristmill.filters.back_translation import BackTranslation
from gristmill.generators.auto_if import AutoIf
from gristmill.generators.auto_if_answers import AutoIfAnswers
from gristmill.generators.auto_if_queries import AutoIfQueries

ATOMS = {"atoms": ["Use no comma.", "Use no comma.", " "]}


def test_the_list_and_what_is_new_become_rows(ask, script) -> None:
    engine = script(
        {"### New": ["Sure:\n- Write in verse.\n- use no comma.\n2) Be brief.\n* Be brief."]}
    )
    rows = ask(AutoIf(max_cosine=1), ATOMS, engine)
    assert [(row["instruction"], row["is_given"]) for row in rows] == [
        ("Use no comma.", True), ("Write in verse.", False), ("Be brief.", False),
    ]  # fmt: skip
    (call,) = engine.calls
    assert "Write 50 new ones" in call.prompt[0]["content"]


OPPOSITES = """- Write the whole answer in upper case letters and nothing else.
- Write the whole answer in lower case letters and nothing else.
- Use at least five commas in the whole answer, wherever they stand.
- Use at most five commas in the whole answer, wherever they stand.
- Let the answer start with the word that its title has.
- Let the answer end with the word that its title has.
- Do not use the letter e anywhere in the first paragraph.
- Do use the letter e anywhere in the first paragraph.
- Start with the word "The".
- Start with the word "A".
- Never write "?".
- Never write "!"."""
REPEATS = """- use  no comma
- Write whole answer in upper case letters and nothing else
- WRITE THE WHOLE ANSWER IN UPPER CASE LETTERS AND NOTHING ELSE.
- Use at least five commas in a whole answer, wherever they stand."""


def test_what_says_the_opposite_is_new_and_what_says_the_same_is_not(ask, script) -> None:
    engine = script({"### New": [f"{OPPOSITES}\n{REPEATS}"]})
    _, *new = ask(AutoIf(max_cosine=1), ATOMS, engine)
    assert [f"- {row['instruction']}" for row in new] == OPPOSITES.split("\n")


SAID = {  # a text and its vector: the cosine with the first is the first number
    "Use no comma.": [1, 0], "Do not use any commas.": [0.71, 0.7042],
    "No comma here.": [0.69, -0.7238],
    "Use at least two commas.": [1, 0], "Write in verse.": [0, 1], "Write in fine verse.": [0, -1],
}  # fmt: skip


def test_what_means_the_same_is_not_new_unless_it_turns_it_round(ask, script) -> None:
    engines = {
        "generator": script({"### New": ["\n".join(f"- {one}" for one in [*SAID][1:])]}),
        "embedder": script({text: [vector] for text, vector in SAID.items()}),
    }
    _, *new = ask(AutoIf(), ATOMS, engines)
    assert [row["instruction"] for row in new] == [
        "No comma here.",  # just below the threshold
        "Use at least two commas.",  # as near as can be, and the opposite
        "Write in verse.",  # and then with one word more, far away by its vector: n-grams tell
    ]


def test_without_an_embedder_n_grams_tell_repeats(ask, script) -> None:
    said = "- Write in verse.\n- Write in fine verse.\n- Sing."
    _, *new = ask(AutoIf(max_cosine=1), ATOMS, {"generator": script({"### New": [said]})})
    assert [row["instruction"] for row in new] == ["Write in verse.", "Sing."]


@pytest.mark.parametrize(
    ("reply", "code"),
    [(" ", "empty"), (Completion("- a", "length", 9, 1), "cut_off"), ("I cannot.", "no_list")],
)
def test_without_new_ones_the_list_stays(reply, code, ask, script) -> None:
    kept, lost = ask(AutoIf(), ATOMS, {"generator": script({"### New": [reply]})})
    assert (kept["instruction"], lost.code) == ("Use no comma.", code)


NO_COMMA = "def evaluate(response):\n    return ',' not in response"
COUNTS = "def evaluate(response):\n    return response.count(',') == 0"
FINDS = "def evaluate(response):\n    return response.find(',') < 0"
ALWAYS = "def evaluate(response):\n    return True"
RAISES = "def evaluate(response):\n    return response.commas"
CASES = [(f"word {i}", True) for i in range(6)] + [(f"word, {i}", False) for i in range(6)]


def written(function: str, cases: list[tuple[str, bool | str]]) -> str:
    told = [{"input": text, "output": wanted} for text, wanted in cases]
    return f"```json\n{json.dumps({'func': function, 'cases': told})}\n```"


def checked(ask, script, sandbox, replies, **changes):
    stage = AutoIfChecks(n=len(replies), **changes)
    engines = {"generator": script({"### Instruction\nUse no": replies}), "sandbox": sandbox}
    return ask(stage, {"instruction": "Use no {comma}."}, engines)


def test_functions_that_agree_with_the_cases_stay(ask, script, sandbox) -> None:
    replies = [
        written(NO_COMMA, CASES[:4]), written(COUNTS, CASES[4:9]),
        written(FINDS, [*CASES[9:], ("a, b", True)]), written(RAISES, CASES[:1]),
    ]  # fmt: skip
    row = checked(ask, script, sandbox, replies)
    assert row["functions"] == [NO_COMMA, COUNTS, FINDS]
    assert row["accuracies"] == [1.0, 1.0, 1.0]
    assert [*zip(row["inputs"], row["outputs"], strict=True)] == CASES


def test_what_is_expected_may_come_as_text(ask, script, sandbox) -> None:
    told = [(text, str(wanted).lower()) for text, wanted in CASES]
    row = checked(ask, script, sandbox, [written(f, told) for f in (NO_COMMA, COUNTS, FINDS)])
    assert row["functions"] == [NO_COMMA, COUNTS, FINDS]
    assert [*zip(row["inputs"], row["outputs"], strict=True)] == CASES


def test_three_of_four_cases_are_fewer_than_eight_of_ten(ask, script, sandbox) -> None:
    cases = [("a", True), ("b", True), ("c, d", False), ("e,", False)]
    short = "def evaluate(response):\n    return ', ' not in response"
    replies = [written(function, cases) for function in (NO_COMMA, short)]
    few = {"min_functions": 2, "min_cases": 4, "agreement": 1}
    row = checked(ask, script, sandbox, replies, **few)
    assert (row["functions"], row["accuracies"]) == ([NO_COMMA], [1.0])
    more = checked(ask, script, sandbox, replies, **few, min_accuracy=0.75)
    assert more["accuracies"] == [1.0, 0.75]


def test_a_function_that_always_says_yes_never_stays(ask, script, sandbox) -> None:
    shared = [
        written(f, CASES[i * 4 : i * 4 + 4]) for i, f in enumerate([NO_COMMA, COUNTS, ALWAYS])
    ]
    row = checked(ask, script, sandbox, shared)
    assert row["functions"] == [NO_COMMA, COUNTS]


@pytest.mark.parametrize(
    ("replies", "changes", "code"),
    [
        ([written(NO_COMMA, CASES)] * 8, {}, "too_few"),
        ([written(f, CASES[:3]) for f in (NO_COMMA, COUNTS, FINDS)], {}, "too_few"),
        ([written(f, CASES[:6]) for f in (NO_COMMA, COUNTS, FINDS)], {"min_cases": 6}, "one_sided"),
        ([written(f, CASES) for f in (RAISES, "x = 1", f"{RAISES}\n")], {}, "one_sided"),
        ([written(f, CASES) for f in (NO_COMMA, COUNTS, "def evaluate(:")], {}, "too_few"),
        ([written(f, CASES) for f in (NO_COMMA, COUNTS, f"import nosuch\n{FINDS}")], {}, "too_few"),
        ([written(f, CASES) for f in (ALWAYS, RAISES, f"{ALWAYS}\n")], {"min_share": 0.0,
         "min_accuracy": 1.0, "agreement": 1}, None),
        (["{", "{"] * 3, {}, "too_few"),
        ([written("while True: pass", CASES), written(NO_COMMA, CASES), written(COUNTS, CASES)],
         {"timeout_s": 0.5}, None),
    ],
)  # fmt: skip
def test_what_bears_nothing_out_leaves(replies, changes, code, ask, script, sandbox) -> None:
    found = _asked(ask, script, sandbox, replies, changes)
    assert getattr(found, "code", None) == code


def _asked(ask, script, sandbox, replies, changes):
    again = [reply for reply in replies if reply == "{"]
    table = {"### Instruction\nUse no": replies, "That does not have the form": again}
    engines = {"generator": script(table), "sandbox": sandbox}
    return ask(AutoIfChecks(n=len(replies), **changes), {"instruction": "Use no comma."}, engines)


def test_a_constraint_costs_eight_samples_of_one_prompt(ask, script, sandbox) -> None:
    functions = [NO_COMMA, COUNTS, FINDS, ALWAYS, RAISES, *[NO_COMMA] * 3]
    generator = script({"### Instruction\nUse no": [written(f, CASES) for f in functions]})
    stage = AutoIfChecks()
    ask(stage, {"instruction": "Use no comma."}, {"generator": generator, "sandbox": sandbox})
    assert len(generator.calls) == 8
    assert len({str(call.prompt) for call in generator.calls}) == 1
    assert len({call.draw for call in generator.calls}) == 8


@pytest.mark.skipif("GRISTMILL_DATA" not in os.environ, reason="needs the published files")
def test_the_published_functions_have_their_published_accuracies(sandbox) -> None:
    path = Path(os.environ["GRISTMILL_DATA"]) / "vif_rag" / "cross_validation.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        inputs, outputs = zip(*row["cases"], strict=True)
        functions = [function for function, _ in row["eval_func"]]
        verdicts = sandbox.run_all([asked(function, inputs, 5.0) for function in functions])
        found = [said(verdict, len(inputs)) for verdict in verdicts]
        kept = agreed(outputs, found, 1)
        assert kept == [*range(len(inputs))], row["instruction"]
        rates = [accuracy(outputs, each, kept) for each in found]
        assert rates == [pytest.approx(rate) for _, rate in row["eval_func"]]


BACK = {"instruction": "Use no comma.", "meta.auto_if_checks.functions": [NO_COMMA, COUNTS]}


def test_what_a_function_asks_for_is_compared(ask, script) -> None:
    engine = script(
        {"### Function": ["Avoid commas. ", "No commas."], "### Contra": ["Entailment.", "neutral"]}
    )
    assert ask(BackTranslation(), BACK, engine) == {"back": ["Avoid commas.", "No commas."]}
    assert (
        "### First\nUse no comma.\n\n### Second\nNo commas."
        in engine.calls[-1].prompt[0]["content"]
    )


@pytest.mark.parametrize(
    ("said", "code"), [("contradiction", "contradicted"), ("yes", "unparsed_judge")]
)
def test_one_contradiction_is_enough(said, code, ask, script) -> None:
    engine = script({"### Function": ["Use commas."] * 2, "### Contra": [said]})
    assert ask(BackTranslation(), BACK, engine).code == code


def test_tasks_are_drawn_without_putting_back(ask) -> None:
    rows = ask(AutoIfQueries(n=6, n_rag=3), {"instruction": "Use no {comma}."}, None)
    assert len({row["query"] for row in rows}) == 9
    assert [row["split"] for row in rows] == ["general"] * 6 + ["rag"] * 3
    for row in rows:
        assert row["instruction"].endswith("Use no {comma}.")
        assert ("### Passages" in row["instruction"]) == (row["split"] == "rag")
        assert row["demand"] == "Use no {comma}."
    assert len(ask(AutoIfQueries(), {"instruction": "X."}, None)) == 16 + 4
    assert len(ask(AutoIfQueries(n=99, n_rag=0), {"instruction": "X."}, None)) == 16
    (drop,) = ask(AutoIfQueries(min_chars=299), {"instruction": "X."}, None)
    assert drop.code == "no_query"


def test_a_file_without_queries_is_refused(ask, tmp_path) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_text('{"query": 3}\n')
    with pytest.raises(InputError, match="needs the text `query`"):
        ask(AutoIfQueries(queries=str(path)), {"instruction": "X."}, None)


TASK = {
    "instruction": "Name trees.\nUse no comma.",
    "meta.auto_if_queries.query": "Name trees.",
    "meta.auto_if_queries.demand": "Use no comma.",
    "meta.auto_if_checks.functions": [NO_COMMA, COUNTS, ALWAYS, RAISES],
}


def answered(ask, script, sandbox, answers, scores, **changes):
    engine = script({"Answer the request": answers, "### Analysis": scores})
    engines = {"generator": engine, "judge": engine, "sandbox": sandbox}
    return ask(AutoIfAnswers(n=len(answers), **changes), TASK, engines)


def test_answers_pass_their_functions_and_the_judge(ask, script, sandbox) -> None:
    rows = answered(ask, script, sandbox, ["Oak.", "Oak, elm.", "Stone.", " ", "Ash."],
                    ["Fine.\nScore: 9", "It is no tree.\nScore: 2", "No score."])  # fmt: skip
    good, followed, topic, unparsed, empty = rows
    assert (good["output"], good["pass_rate"], good["alignment"]) == ("Oak.", 0.75, 9.0)
    codes = [one.code for one in (followed, topic, unparsed, empty)]
    assert codes == ["not_followed", "off_topic", "unparsed_judge", "empty"]
    assert followed.detail.startswith("0.25"), "an error is never a pass: one of four"


def test_an_answer_costs_one_call_and_one_more_if_its_functions_pass_it(
    ask, script, sandbox
) -> None:
    engine = script({"Answer the request": ["Oak.", "a, b, c"], "### Analysis": ["Score: 9"]})
    engines = {"generator": engine, "judge": engine, "sandbox": sandbox}
    ask(AutoIfAnswers(n=2), TASK, engines)
    first, second, judged = engine.calls
    assert first.prompt == second.prompt != judged.prompt
    assert first.draw != second.draw


def test_an_alignment_of_eight_is_not_above_eight(ask, script, sandbox) -> None:
    (found,) = answered(ask, script, sandbox, ["Oak."], ["x\nScore: 8"])
    assert found.code == "off_topic"
    (found,) = answered(ask, script, sandbox, ["Oak."], ["x\n**Score: 10**"])
    assert found["alignment"] == 10.0


def test_two_good_and_two_bad_answers_are_four_pairs(ask, script, sandbox) -> None:
    strict = {**TASK, "meta.auto_if_checks.functions": [NO_COMMA, COUNTS]}
    answers = ["Oak.", "Elm.", "Ash.", "a, b", "c, d", "e, f"]
    engine = script({"Answer the request": answers, "### Analysis": ["x\nScore: 9"] * 3})
    engines = {"generator": engine, "judge": engine, "sandbox": sandbox}
    rows = ask(AutoIfAnswers(n=6, makes="pairs"), strict, engines)
    assert [(row["chosen"], row["rejected"]) for row in rows] == [
        ("Oak.", "a, b"), ("Oak.", "c, d"), ("Elm.", "a, b"), ("Elm.", "c, d"),
    ]  # fmt: skip
    assert {row["prompt"] for row in rows} == {TASK["instruction"]}
    (drop,) = answered(ask, script, sandbox, ["a, b"], [], makes="pairs")
    assert drop.code == "no_pair"


def test_what_no_function_can_tell_is_neither_good_nor_bad(ask, script, sandbox) -> None:
    task = {**TASK, "meta.auto_if_checks.functions": [RAISES]}
    engine = script({"Answer the request": ["Oak.", "Elm."]})
    engines = {"generator": engine, "judge": engine, "sandbox": sandbox}
    rows = ask(AutoIfAnswers(n=2, makes="pairs"), task, engines)
    assert [row.code for row in rows] == ["no_pair", "not_checked", "not_checked"]


@pytest.mark.parametrize(
    ("functions", "scores", "code"),
    [
        ([NO_COMMA, RAISES, RAISES], [], "not_followed"),
        ([NO_COMMA, RAISES], ["Score: 9"], "no_pair"),
    ],
)
def test_an_error_neither_lets_an_answer_pass_nor_rejects_one(
    ask, script, sandbox, functions, scores, code
) -> None:
    task = {**TASK, "meta.auto_if_checks.functions": functions}
    engine = script({"Answer the request": ["Oak.", "a, b"], "### Analysis": scores})
    engines = {"generator": engine, "judge": engine, "sandbox": sandbox}
    makes = "pairs" if scores else "answers"
    assert ask(AutoIfAnswers(n=2, makes=makes), task, engines)[0].code == code


def test_what_a_judge_cannot_say_is_told_beside_the_pairs(ask, script, sandbox) -> None:
    task = {**TASK, "meta.auto_if_checks.functions": [NO_COMMA]}
    engine = script({
        "Answer the request": ["Oak.", "Elm.", "a, b", " "], "### Analysis": ["Score: 9/10", "Hm."],
    })  # fmt: skip
    engines = {"generator": engine, "judge": engine, "sandbox": sandbox}
    pair, *lost = ask(AutoIfAnswers(n=4, makes="pairs"), task, engines)
    assert (pair["chosen"], pair["rejected"], pair["alignment"]) == ("Oak.", "a, b", 9.0)
    assert [row.code for row in lost] == ["empty", "unparsed_judge"]
