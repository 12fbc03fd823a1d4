"""WaveCoder: tasks of four types, judged by checks, examples from what was judged before."""

import asyncio
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gristmill.engines.client import Client
from gristmill.engines.requests import Completion
from gristmill.filters.wave_coder_judge import WaveCoderJudge
from gristmill.formats.python_functions import functions_of
from gristmill.generators.wave_coder import WaveCoder, _examples
from gristmill.pipelines import Context
from gristmill.scorers.task_types import TaskTypes
from gristmill.selectors.wavecoder_coreset import WavecoderCoreset
from gristmill.storage.answers import Answers
from gristmill.text.judged_tasks import analysis_in, task_in

DATA = Path(os.environ.get("GRISTMILL_DATA", "nowhere"), "wavecoder")
CODE = "def half(n):\n    return n / 2"
MAKE, JUDGE = "Make a task for programmers", "Judge a task for programmers"


def task(name="Half", instruction="Write Python that halves.", information="none", solution=CODE):
    return (
        f"task_name: {name}\ninstruction: {instruction}\ninformation: {information}\n"
        f"solution:\n```python\n{solution}\n```"
    )


def analysis(*holds, overall="yes") -> str:
    checks = [f"{i}. A check. <answer: {h}, because: a > b.>" for i, h in enumerate(holds, 1)]
    return "\n".join([*checks, f"- overall answer: {overall}", "- reasons: So it is."])


FINE = analysis("yes", "yes", "yes", "yes", "yes")
POOR = analysis("yes", "no", "yes", "yes", "no", overall="no")


def made(ask, script, sandbox, reply, kind="generation"):
    engine = script({MAKE: [reply]})
    row = {"code": CODE, "scores.task_types.task_type": kind}
    roles = {"generator": engine, "sandbox": sandbox}
    return ask(WaveCoder(timeout_s=1.0), row, roles), engine.calls


def test_code_becomes_a_task_after_two_examples(ask, script, sandbox) -> None:
    row, calls = made(ask, script, sandbox, "\n" + task(information="See {n}."))
    assert (row["instruction"], row["input"]) == ("Write Python that halves.", "See {n}.")
    assert row["output"] == f"```python\n{CODE}\n```"
    assert row["shown"] == ["task_name: Longest common prefix", "task_name: Average speed"]
    asked = calls[0].prompt[0]["content"]
    assert asked.endswith(f"### Code\n```\n{CODE}\n```\n\n### Task\n")
    assert "write code that does what is described" in asked
    assert calls[0].sampling.temperature == 1.0


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (task(), "essay", "no_type"),
        (" ", "generation", "empty"),
        ("Sorry, I cannot.", "generation", "no_task"),
        (task().replace("information", "info"), "generation", "no_task"),
        (task() + "\n" + task(), "generation", "no_task"),
        (task(instruction="none"), "generation", "empty_keys"),
        (task(instruction="Do it. Do it. Do it."), "generation", "too_long"),
        (task(information="One. Two. Three."), "generation", "too_long"),
        (task(solution="def half(n:"), "repair", "not_running"),
        (task(solution="@cache\n" + CODE), "repair", "not_running"),
        (task(solution=CODE + "\nassert half(4) == 3"), "generation", "not_running"),
        (task(solution="while True: pass"), "generation", "not_running"),
        (task(solution="raise ValueError('FileNotFoundError')"), "generation", "not_running"),
        (Completion(task(), "length", 9, 9), "generation", "cut_off"),
    ],
)
def test_a_reply_that_is_no_task_leaves(ask, script, sandbox, reply, kind, code) -> None:
    row = {"code": CODE, "scores.task_types.task_type": kind}
    engine = script({MAKE: [reply] if kind != "essay" else []})
    drop = ask(WaveCoder(timeout_s=1.0), row, {"generator": engine, "sandbox": sandbox})
    assert drop.code == code
    assert code in WaveCoder.codes


@pytest.mark.parametrize(
    ("solution", "kind", "ran"),
    [
        (CODE, "repair", True),
        (CODE + "\nprint(half(4))", "generation", True),
        ("print(int(input()) / 2)", "generation", None),
        ("import no_such_package\n" + CODE, "generation", None),
        ("print(open('numbers.csv').read())", "generation", None),
        ("from urllib.request import urlopen\nurlopen('http://example.com')", "repair", None),
        ("import socket\nsocket.create_server(('127.0.0.1', 8000))", "generation", None),
        ("import time\nwhile True: time.sleep(1)", "generation", None),
        ("function half(n) { }", "translation", None),
    ],
)
def test_python_is_run_and_what_nobody_can_run_is_told(
    ask, script, sandbox, solution, kind, ran
) -> None:
    row, _ = made(ask, script, sandbox, task(solution=solution), kind)
    assert (row["task_type"], row["ran"]) == (kind, ran)


def judged(ask, script, reply):
    row = {"instruction": "i", "input": None, "output": "o", "meta.wave_coder.task_name": "n"}
    return ask(WaveCoderJudge(), row, script({JUDGE: [reply]}))


def test_both_verdicts_stay_with_their_reasons(ask, script) -> None:
    good, poor = (judged(ask, script, text) for text in (FINE, POOR))
    assert (good["good"], good["failed_checks"], good["reasons"]) == (1, [], "So it is.")
    assert (poor["good"], poor["failed_checks"]) == (0, [2, 5])


@pytest.mark.parametrize(
    "reply",
    [
        "yes",
        "No problem here.",
        analysis("yes", "yes", "yes", "yes"),
        FINE.replace("- overall", "- all in all"),
        FINE.replace("overall answer: yes", "overall answer: none"),
        FINE.replace("- reasons", "- why"),
        FINE + "\n" + FINE,
    ],
)
def test_a_verdict_without_every_line_is_none(ask, script, reply) -> None:
    assert judged(ask, script, reply).code == "unparsed_judge"


def pool(*rows) -> pa.Table:
    told = [
        {
            "instruction": f"Write {name}.",
            "input": None,
            "output": CODE,
            "meta": json.dumps(
                {
                    "wave_coder": {"task_name": name, "task_type": kind},
                    "wave_coder_judge": {"good": good, "analysis": FINE if good else POOR},
                }
            ),
        }
        for name, kind, good in rows
    ]
    return pa.Table.from_pylist(told)


def prompts(script, sandbox, tmp_path, table, n=12, **changes) -> list[str]:
    engine = script({MAKE: [task()] * n})
    answers = Answers(tmp_path / "answers")

    async def go():
        roles = {"generator": Client(engine, answers), "sandbox": Client(sandbox, answers)}
        row = {"code": CODE, "scores.task_types.task_type": "generation"}
        for i in range(n):
            ctx = Context(roles, 0, "label", f"id{i}", round=1, pool=table)
            await WaveCoder(**changes)(row, ctx)

    try:
        asyncio.run(go())
    finally:
        answers.close()
    return [call.prompt[0]["content"] for call in engine.calls]


def test_examples_are_what_earlier_rounds_were_judged(script, sandbox, tmp_path) -> None:
    rows = [(f"good{i}", "generation", 1) for i in range(4)]
    rows += [(f"bad{i}", "generation", 0) for i in range(4)] + [("other", "repair", 1)]
    seen = Counter()
    for text in prompts(script, sandbox, tmp_path, pool(*rows), base=3):
        good, _, bad = text.partition("### A bad example")
        assert "task_name: good" in good
        assert "task_name: bad" not in good
        assert "task_name: bad" in bad
        assert "task_name: good" not in bad
        seen[good.partition("task_name: ")[2][:5]] += 1
        assert "other" not in text
    assert len(seen) > 1
    assert "good3" not in seen, "the base is full"


def test_what_the_base_lacks_comes_along(script, sandbox, tmp_path) -> None:
    (text,) = prompts(script, sandbox, tmp_path, pool(("bad0", "generation", 0)), n=1)
    assert _examples()[0] in text
    assert "task_name: bad0" in text
    assert _examples()[1] not in text


def test_the_examples_are_judged_as_they_claim() -> None:
    found = [(task_in(text), analysis_in(text)) for text in _examples()]
    assert [said.is_good for _, said in found] == [True, False]
    assert not any(one.flaw for one, _ in found)


@pytest.mark.skipif(not DATA.is_dir(), reason="GRISTMILL_DATA has no wavecoder")
@pytest.mark.parametrize(("name", "good"), [("good_case_0", True), ("bad_case_0", False)])
def test_published_cases_have_four_keys_and_five_checks(name, good) -> None:
    text = (DATA / f"{name}.txt").read_text()
    found, said = task_in(text.partition("Output:")[2]), analysis_in(text)
    assert found.task_name.lower() in ("calculate circle area", "calculate pipe diameter")
    assert found.instruction.startswith("Write a Python function")
    assert [holds for holds, _ in said.checks] == [True, True, True, True, good]
    assert said.is_good is good
    assert said.reasons


def test_types_have_their_shares_within_one_row() -> None:
    table = pa.table({"id": [f"id{i:03}" for i in range(10)]})
    stage = TaskTypes(types=("a", "b", "c"), weights=(2, 1, 0))
    found = stage.decide(table)["task_type"].to_pylist()
    assert Counter(found) == {"a": 7, "b": 3}
    mixed = stage.decide(table.take([3, 1, 2, 0, 4, 5, 6, 7, 8, 9]))["task_type"].to_pylist()
    assert (mixed[0], mixed[3]) == (found[3], found[0]), "the order of rows changes nothing"
    with pytest.raises(ValueError, match="3 types, but 2 weights"):
        TaskTypes(types=("a", "b", "c"), weights=(2, 1))


def test_the_coreset_covers_the_code_of_installed_packages() -> None:
    parts, _, _ = functions_of(["package:fsspec"])
    codes = [row["code"] for part in parts for row in part.rows][:300]
    assert len(codes) > 20
    vectors = np.array([[code.count(sign) for sign in "([{.=:_"] for code in codes], np.float32)
    ids = [f"id{i:04}" for i in range(len(codes))]
    table = pa.table({"id": ids, "scores.embedding.vector": list(vectors)})

    def radius(k: int) -> float:
        keep = WavecoderCoreset(k=k).decide(table)["keep"].to_numpy(zero_copy_only=False)
        gaps = np.linalg.norm(vectors[:, None] - vectors[keep][None], axis=2).min(1)
        assert keep.sum() == k
        return float(gaps.max())

    assert radius(2) >= radius(5) >= radius(10), "it never grows with k"
