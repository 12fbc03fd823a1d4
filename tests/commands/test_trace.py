"""Every prompt, answer, verdict and decision behind a row, as JSON and as a page."""

import json
import re
import shutil
from html.parser import HTMLParser
from typing import get_args

import pytest
import yaml

from gristmill.commands.prompts import Recalling, written
from gristmill.engines.remote import Remote
from gristmill.engines.requests import Choice, Generate, Op, Sampling, Score
from gristmill.engines.sandbox import Program
from gristmill.publishing.trace import rows

BARE = ("--local", "--no-prefect", "--set", "export={card: false, report: false}")
EVIL = "Say <script>alert(1)</script> \x1b[31m{{ 7 * 7 }} why."


@pytest.fixture
def built(call, place):
    """Run a recipe with a verdict, a score, a filter and a selector."""

    def go() -> dict:
        recipe = yaml.safe_load((place / "tiny.yaml").read_text())
        recipe["stages"] = [
            {"use": "filters.length", "min_chars": 17},
            {"use": "generators.responses", "n": 2},
            {"use": "verifiers.final_number"},
            {"use": "scorers.word_count"},
            {"use": "filters.near_duplicates", "fields": ["output"]},
            {"use": "selectors.longest", "k": 6},
        ]
        (place / "tiny.yaml").write_text(yaml.safe_dump(recipe))
        lines = [json.loads(line) for line in (place / "seeds.jsonl").read_text().splitlines()]
        lines = [json.dumps({"reference": "3", **line}) for line in lines]
        (place / "seeds.jsonl").write_text("\n".join(lines))
        return json.loads(call("run", "tiny.yaml", "--json", *BARE)[1])

    return go


def traced(call, row: str = "0") -> dict:
    return json.loads(call("trace", "last", row, "--json")[1])


def keys_of(told: dict) -> set[str]:
    return {key for row in told["line"] for key in row["calls"]}


def test_every_prompt_answer_verdict_and_decision_is_in_the_json(call, built) -> None:
    built()
    for position in (0, 3, 5):
        told = traced(call, str(position))
        seed, row = told["line"]
        question, output = dict(seed["texts"])["instruction"], dict(row["texts"])["output"]
        assert set(told["prompts"]) == set(told["replies"]) == keys_of(told)
        assert len(keys_of(told)) == 2
        for key in keys_of(told):
            assert told["prompts"][key] == f"user: {question}"
            assert re.fullmatch(rf"So {re.escape(question)} \d", told["replies"][key]["text"])
        assert output in [reply["text"] for reply in told["replies"].values()]
        assert [step["stage"] for step in seed["steps"]] == ["length", "responses"]
        decided = {step["stage"]: (step["what"], step["columns"]) for step in row["steps"]}
        assert decided["longest"][0] == "passed"
        number = output.split()[-1]
        assert decided["final_number"] == (
            "passed", {"passed": number == "3", "status": f"{number} against 3"},
        )  # fmt: skip
        assert decided["word_count"][1]["words"] == len(output.split())
        assert decided["near_duplicates"][0] == decided["target"][0] == "passed"
        assert told["why_not"] is None


def test_a_rejected_row_has_its_calls_too(call, built, place) -> None:
    (row, *_) = rows(place / built()["run_dir"], end="rejected", at="longest", n=1)
    told = traced(call, row["id"])
    last = told["line"][-1]["steps"][-1]
    assert (last["stage"], last["what"], last["code"]) == ("longest", "rejected", "not_selected")
    assert set(told["prompts"]) == keys_of(told) != set()


def test_prompts_that_cannot_be_made_again_say_why(call, built, place) -> None:
    built()
    (place / "seeds.jsonl").unlink()
    told = traced(call)
    assert told["prompts"] == {}
    assert "seeds.jsonl" in told["why_not"]
    assert len(told["replies"]) == 2
    out = call("trace", "last", "0", "--calls")[1]
    assert "every reply is shown, but not every prompt: " in out


def test_a_trace_changes_nothing_and_asks_nothing(call, built, place) -> None:
    built()
    store = place / ".gristmill" / "answers.sqlite"
    before = store.read_bytes(), sorted(place.glob("runs/**/*"))
    assert traced(call)["prompts"]
    assert (store.read_bytes(), sorted(place.glob("runs/**/*"))) == before
    shutil.rmtree(place / ".gristmill")
    assert traced(call)["prompts"] == {}
    assert not (place / ".gristmill").exists()


OWN = """
from typing import TypedDict
from gristmill import Drop, RowStage

class Row(TypedDict):
    instruction: str

class Same(RowStage):
    def __call__(self, row: Row) -> Drop | None:
        return {}
"""


def test_prompts_of_a_recipe_with_a_stage_of_ones_own_are_made_again_when_allowed(
    call, place
) -> None:
    (place / "mine_trace" / "filters").mkdir(parents=True)
    (place / "mine_trace" / "filters" / "same.py").write_text(OWN)
    use = ("--set", "stages.0={use: mine_trace.filters.same}", "--allow-plugins")
    assert call("run", "tiny.yaml", *use, *BARE)[0] == 0
    assert "add --allow-plugins" in call("trace", "last", "0", "--calls")[1]
    code, out, _ = call("trace", "last", "0", "--calls", "--allow-plugins")
    assert (code, "not every prompt" in out) == (0, False)


class Page(HTMLParser):
    """Collects elements, and what could load or run something."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.active: list[str] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.names.add(tag)
        self.active += [k for k, _ in attrs if k.startswith("on") or k in ("src", "href")]


def test_the_page_shows_all_of_it_and_text_does_nothing(call, built, place) -> None:
    seeds = [json.dumps({"instruction": EVIL, "license": "MIT", "source": "<b>s"})]
    (place / "seeds.jsonl").write_text("\n".join(seeds))
    built()
    code, out, _ = call("trace", "last", "0", "--page", "row.html")
    assert (code, out) == (0, "row.html\n")
    text = (place / "row.html").read_text()
    found = Page()
    found.feed(text)
    assert found.active == []
    assert not found.names & {"script", "b0", "img", "link", "a"}
    assert "\x1b" not in text
    told = traced(call)
    assert all(key in text for key in keys_of(told))
    assert text.count("user: Say &lt;script&gt;alert(1)&lt;/script&gt; {{ 7 * 7 }} why.") == 2
    assert "<td>near_duplicates</td>" in text
    assert "words: " in text
    assert "MIT" in text


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (Generate("Once", Sampling()), "prompt: Once"),
        (Score((), "Yes."), "response: Yes."),
        (Choice([{"role": "user", "content": "Good?"}], ("1", "2")),
         "user: Good?\nlabels: 1\nlabels: 2"),
        (Program("", cells=("x = 1", "x")), "cells: x = 1\ncells: x"),
        (Program("f()", tests="assert f()", stdin="3"), "code: f()\ntests: assert f()\nstdin: 3"),
    ],
)  # fmt: skip
def test_requests_of_every_kind_are_written_as_text(request_, text) -> None:
    assert written(request_) == text


def test_prompts_of_later_rounds_are_made_again_from_all_seeds(call, place) -> None:
    rounds = ("--set", "rounds={n: 2}", "--set", "stages.2.k=40")
    run = json.loads(call("run", "tiny.yaml", "--json", *rounds, *BARE)[1])["run_dir"]
    kept = [row for row in rows(place / run, end="kept", n=80) if row["round"] == 1]
    told = traced(call, kept[0]["id"])
    assert set(told["prompts"]) == keys_of(told) != set()


@pytest.mark.parametrize("op", get_args(Op))
def test_every_kind_of_request_is_made_again_and_reaches_an_engine_elsewhere(op) -> None:
    assert getattr(Recalling, op) is Recalling.serve
    assert op in vars(Remote)
