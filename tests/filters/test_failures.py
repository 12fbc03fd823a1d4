"""The failures F2, F4, F6 to F8, F10 and F11, a stage each, on made-up rows and on real ones."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gristmill.filters.answered import Answered
from gristmill.filters.dangling import Dangling
from gristmill.filters.loops import Loops
from gristmill.filters.placeholders import Placeholders
from gristmill.filters.refusals import Refusals
from gristmill.filters.template_leaks import TemplateLeaks
from gristmill.filters.truncated import Truncated
from gristmill.pipelines import Drop, RowStage

GOOD = {
    "instruction": "Name a tall tree.",
    "input": "",
    "output": "The coast redwood.",
    "gen": None,
}
VERSE = "\n".join(f"The {i} came down from the hill\nand all was still" for i in range(4))


def detail(stage: RowStage, **row: Any) -> str | None:
    out = stage({**GOOD, "before": "A pine, an oak or a fir.", **row})
    return out.detail if isinstance(out, Drop) else None


@pytest.mark.parametrize(
    ("stage", "row", "found"),
    [
        (Refusals(), {"output": "I cannot help with that."}, "I cannot help"),
        (Refusals(), {"output": "I felt sorry for it."}, None),
        (Refusals(sorry_below=80), {"output": "I felt sorry for it."},
         "sorry, in fewer than 80 words"),
        (Refusals(sorry_below=5), {"output": "I felt sorry for it."}, None),
        (Loops(), {"output": "a b " * 10}, "0.12 of its runs of 4 words differ"),
        (Loops(min_distinct=0.1), {"output": "a b " * 10}, None),
        (Loops(ngram=1), {"output": "a b " * 10}, "0.10 of its runs of 1 words differ"),
        (Loops(min_zlib=0.0), {"output": "0" * 400}, None),
        (Loops(), {"output": VERSE}, None),
        (Loops(same_lines=4), {"output": VERSE}, "4 times: and all was still"),
        (Loops(same_lines=5), {"output": VERSE}, None),
        (TemplateLeaks(), {"output": "Oak.<|im_end|>"}, "<|im_end|>"),
        (TemplateLeaks(), {"output": "The harder prompt: oak"}, None),
        (TemplateLeaks(templates=("### Harder prompt\n{text}",)), {"output": "Harder prompt: oak"},
         "Harder prompt"),
        (Truncated(), {"gen": {"finish_reason": "length"}},
         "the model reached its limit of tokens"),
        (Truncated(), {"output": "```\nOak"}, "its last code block is never closed"),
        (Truncated(open_blocks=False), {"output": "```\nOak"}, None),
        (Answered(), {"instruction": "Sure! Name a tree."}, "Sure!"),
        (Answered(), {"instruction": "A pine, an oak or an elm."}, None),
        (Answered(answer="before"), {"instruction": "A pine, an oak or an elm."},
         "ROUGE-L 0.71 with before"),
        (Answered(answer="before", max_rouge=0.8), {"instruction": "A pine, an oak or an elm."},
         None),
        (Dangling(), {"instruction": "Sum up the article below."}, "the article below."),
        (Dangling(), {"instruction": "Sum up the article below.", "input": "Trees grow."}, None),
        (Dangling(), {"input": "[insert text]"}, "[insert text]"),
        (Dangling(stand_ins=False), {"input": "[insert text]"}, None),
        (Placeholders(), {"output": "Plant [insert a tree]."}, "[insert a tree]"),
        (Placeholders(), {"output": "Dear {name}, it is `{x}`."}, None),
        (Placeholders(any_brackets=True), {"output": "Dear {name}, it is `{x}`."}, "{name}"),
        (Placeholders(any_brackets=True), {"output": "It is `{x}`, or <b>x</b>, or [1]."}, None),
        (Placeholders(any_brackets=True), {"output": "\\begin{table}\n\\textbf{Name} & {Tree}"},
         "{Tree}"),
    ],
)  # fmt: skip
def test_each_failure_is_found_with_its_evidence_and_its_own_limits(stage, row, found) -> None:
    assert detail(stage, **row) == found
    assert detail(stage) is None


def test_every_answer_of_a_conversation_is_looked_at() -> None:
    turns = [("user", "Hi"), ("assistant", "I'm sorry, but I can't."), ("user", "Why?")]
    talk = [{"role": role, "content": text} for role, text in [*turns, ("assistant", "So.")]]
    assert Refusals()({"messages": talk}) == Drop("refusal", "I'm sorry, but I can't")
    assert Truncated()({"messages": talk, "gen": None}) == {}


@pytest.mark.parametrize(
    ("stage", "bad"),
    [
        (Refusals(), "I cannot help with that."),
        (Loops(), "a b " * 10),
        (TemplateLeaks(), "Oak.<|im_end|>"),
        (Truncated(), "```\nOak"),
        (Placeholders(), "Plant [insert a tree]."),
    ],
)
def test_of_a_pair_the_preferred_answer_is_looked_at(stage, bad) -> None:
    pair = {"output": None, "chosen": "An oak.", "rejected": bad}
    assert detail(stage, **pair) is None
    assert detail(stage, **{**pair, "chosen": bad})


DATA = Path(os.environ.get("GRISTMILL_DATA", "nowhere"))


@cache
def real(file: str) -> list[dict[str, Any]]:
    text = (DATA / file).read_text()
    rows = json.loads(text) if file.endswith(".json") else map(json.loads, text.splitlines())
    return [{**row, "output": row.get("response", row.get("output")), "gen": None} for row in rows]


BASE = "self_instruct/predictions_davinci.jsonl"
ALPACA = "alpaca/random_9k.json"
SMALL = "m_ifeval/responses_Qwen2.5-0.5B-Instruct-GPTQ-Int4.jsonl"


@pytest.mark.skipif(not DATA.is_dir(), reason="GRISTMILL_DATA names no folder")
@pytest.mark.parametrize(
    ("stage", "file", "n"),
    [
        (Refusals(), ALPACA, 6),
        (Refusals(sorry_below=80), ALPACA, 19),
        (Loops(), BASE, 249),
        (Loops(min_distinct=0.0, min_zlib=0.0, same_lines=3, counted=0, addresses=0), BASE, 230),
        (Loops(min_distinct=0.0, min_zlib=0.0, counted=0), BASE, 3),
        (TemplateLeaks(), ALPACA, 23),
        (TemplateLeaks(), BASE, 168),
        (TemplateLeaks(templates=("# Input",)), BASE, 179),
        (Truncated(), SMALL, 8),
        (Answered(answer="output", max_rouge=0.9), ALPACA, 1),
        (Dangling(), ALPACA, 46),
        (Placeholders(), ALPACA, 2),
        (Placeholders(any_brackets=True), ALPACA, 80),
        (Placeholders(any_brackets=True), BASE, 1),
    ],
)
def test_bad_rows_of_real_sets_are_found(stage, file, n) -> None:
    found = [out.detail for row in real(file) if isinstance(out := stage(row), Drop)]
    assert len(found) == n, found[:9]
