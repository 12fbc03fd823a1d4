"""EpiCoder: features, growth, tasks, and files that pass frozen tests."""

import asyncio
import json

import pytest

from gristmill.engines.requests import Completion
from gristmill.engines.sandbox.modules import judge, suite_of
from gristmill.generators.epi_coder import EpiCoder
from gristmill.generators.epi_coder_evolve import EpiCoderEvolve
from gristmill.generators.epi_coder_features import EpiCoderFeatures
from gristmill.generators.epi_coder_solve import EpiCoderSolve
from gristmill.text.code_files import files_in, written

FEATURES = {"workflow": ["read rows", "write rows"], "logging": []}


def tagged(value) -> str:
    return f"Here they are.\n<features>\n{json.dumps(value, indent=1)}\n</features>"


def test_code_becomes_a_tree(ask, script) -> None:
    engine = script({"Name the features": [tagged(FEATURES)]})
    row = ask(EpiCoderFeatures(), {"code": "\nx = {1}\n"}, engine)
    assert json.loads(row["features"]) == FEATURES
    asked = engine.calls[0].prompt[0]["content"]
    assert asked.endswith("### Code\n```\nx = {1}\n```\n\n### Features")


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (" ", "empty"),
        ("I am sorry, but I cannot.", "no_features"),
        (json.dumps(FEATURES), "no_features"),
        (tagged(FEATURES).replace("</features>", ""), "no_features"),
        ("<features>{'a': __import__('os')}</features>", "no_features"),
        ("<features>" + "[" * 100_000 + "</features>", "no_features"),
        (tagged(["a"]), "no_features"),
        (tagged({"a": []}), "no_features"),
        (Completion(tagged(FEATURES), "length", 9, 9), "cut_off"),
    ],
)
def test_a_reply_without_features_leaves(ask, script, reply, code) -> None:
    drop = ask(EpiCoderFeatures(), {"code": "x = 1"}, script({"Name the features": [reply]}))
    assert drop.code == code
    assert code in EpiCoderFeatures.codes


def test_what_does_not_grow_leaves_and_the_row_stays(ask, script) -> None:
    parts = [json.dumps({name: {"x": {}}}) for name in "abc"]
    engine = script(
        {
            '"a"': [tagged({"a": {"x": ["deep"], "y": []}})],
            '"b"': [tagged({"b": ["x"]})],
            '"c"': ["no"],
        }
    )
    row, same, none = ask(EpiCoderEvolve(), {"scores.source_tree.subtrees": parts}, engine)
    (pair,) = map(json.loads, row["grown"])
    assert pair == [{"a": {"x": {}}}, {"a": {"x": {"deep": {}}, "y": {}}}]
    assert (same.code, none.code) == ("no_growth", "no_features")
    (kept,) = ask(EpiCoderEvolve(), {"scores.source_tree.subtrees": None}, script({}))
    assert kept["grown"] == []


PART = json.dumps({"workflow": {"read": {"csv": {}}}, "computation operation": {"sum": {}}})
TREE = {"scores.evolved_tree.subtrees": [PART]}
TASK = (
    "<features>sum, CSV, other</features><scenario>A shop.</scenario>"
    "<task>Sum.</task>\n<instruction>Write `total(text)`.\n`total('1')` is 1.</instruction>"
)


def test_a_task_needs_two_features_of_its_part(ask, script) -> None:
    engine = script({"Invent a programming task": [TASK]})
    (row,) = ask(EpiCoder(), TREE, engine)
    assert sorted(row["mandatory_features"]) == ["csv", "sum"], "its leaves"
    assert row["features"] == ["sum", "CSV", "other"]
    assert row["instruction"] == "Write `total(text)`.\n`total('1')` is 1."
    asked = engine.calls[0].prompt[0]["content"]
    assert asked.partition("### Features")[2] == (
        f"\n{PART}\n\n### Mandatory features\n{', '.join(row['mandatory_features'])}\n\n### Task"
    )
    assert "two to five Python files" not in asked


def test_a_missing_tag_is_asked_for_once_more(ask, script) -> None:
    lost = TASK.replace("</task>", "")
    engine = script({"Invent a programming task": [lost, TASK]})
    (row,) = ask(EpiCoder(level="files"), TREE, engine)
    assert (row["level"], row["scenario"]) == ("files", "A shop.")
    assert len({call.draw for call in engine.calls}) == 2
    assert "two to five Python files" in engine.calls[0].prompt[0]["content"]


@pytest.mark.parametrize(
    ("replies", "code"),
    [
        (["Sorry, I cannot."] * 2, "missing_tag"),
        ([TASK + TASK] * 2, "missing_tag"),
        ([TASK.replace("sum, ", "")], "missing_feature"),
        ([Completion(TASK, "length", 9, 9)], "cut_off"),
        ([TASK[:9], " "], "empty"),
    ],
)
def test_a_reply_that_is_no_task_leaves(ask, script, replies, code) -> None:
    (drop,) = ask(EpiCoder(), TREE, script({"Invent a programming task": replies}))
    assert drop.code == code
    assert code in EpiCoder.codes


def test_a_row_without_parts_asks_nobody(ask, script) -> None:
    assert ask(EpiCoder(), {"scores.evolved_tree.subtrees": []}, script({})).code == "no_part"


PRICES = "def price(n):\n    return n * {factor}\n"
SHOP = "from prices import price\n\n\ndef total(ns):\n    return sum(price(n) for n in ns)\n"
TESTS = "import shop\nfrom prices import price\n\n\ndef test_it():\n"
TESTS += "    assert price(3) == 6\n    assert shop.total([1, 2]) == 6\n"


def reply(factor=2, tests=TESTS, **more) -> str:
    files = {"prices.py": PRICES.format(factor=factor), "shop.py": SHOP, "test_shop.py": tests}
    return written({name: text for name, text in (files | more).items() if text})


def solve(ask, script, sandbox, first, fixes=(), **changes):
    table = {"Think a programming task": ["It is a sum."], "Now write the solution": [first]}
    table |= {"The tests fail": list(fixes[:1]), "Correct Python files": list(fixes[1:])}
    roles = {"generator": script(table), "sandbox": sandbox}
    row = ask(EpiCoderSolve(**changes), {"instruction": "Sum {prices}."}, roles)
    return row, roles["generator"].calls


def passes(sandbox, row) -> bool:
    async def run(program):
        return sandbox.run_all([program])[0]

    async def go():
        files = files_in(row["output"])
        return await judge(run, files, await suite_of(run, row["tests"], files), 10)

    return asyncio.run(go()).status == "pass"


def test_files_pass_their_tests_and_do_so_again(ask, script, sandbox) -> None:
    row, calls = solve(ask, script, sandbox, reply())
    assert (row["repair_rounds"], row["test_file"], row["tests"]) == (0, "test_shop.py", TESTS)
    assert files_in(row["output"]).keys() == {"prices.py", "shop.py"}
    assert passes(sandbox, row), "from what the row has alone"
    assert calls[1].prompt[:2] == [
        *calls[0].prompt,
        {"role": "assistant", "content": "It is a sum."},
    ]


def test_repairs_change_the_files_and_never_the_tests(ask, script, sandbox) -> None:
    weak = {"prices.py": PRICES.format(factor=3), "shop.py": None, "test_shop.py": "import shop\n"}
    good = {"prices.py": PRICES.format(factor=2), "test_shop.py": TESTS}
    repairs = [written({k: v for k, v in weak.items() if v}), written(good)]
    row, calls = solve(ask, script, sandbox, reply(3), repairs)
    assert (row["repair_rounds"], row["tests"]) == (2, TESTS)
    assert passes(sandbox, row)
    assert calls[2].prompt[0] == calls[0].prompt[0], "the first round sees the analysis"
    assert len(calls[3].prompt) == 1
    assert PRICES.format(factor=3) in calls[3].prompt[0]["content"], "what was refused is not there"
    assert "assert price(3) == 6" in calls[3].prompt[0]["content"]


SILENT = TESTS + "\n\nimport sys\nsys.exit(1)\n"
EASY = "import shop\n\n\ndef test_it():\n    assert shop.total is not None\n"


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (reply(3), "failed_tests"),
        (reply(tests=SILENT), "failed_tests"),
        (reply(tests=EASY), "weak_tests"),
        (
            reply(tests="import shop\n\n\ndef test_it():\n    print(shop.total([1]))\n"),
            "weak_tests",
        ),
        (reply(tests="def test_it():\n    assert 1 == 1\n"), "bad_tests"),
        (reply(tests="from shop import *\nassert total([1]) == 2\n"), "bad_tests"),
        (reply(tests="def test_it(:\n"), "bad_tests"),
        (reply(tests=None), "no_files"),
        (written({"test_shop.py": TESTS}), "no_files"),
        (reply(**{"../up.py": "x = 1"}), "no_files"),
        (reply(**{"/etc/x.py": "x = 1"}), "no_files"),
        (reply(**{"shop.py": "import nowhere_at_all\n"}), "missing_package"),
        (reply(**{"shop.py": "while True: pass\n"}), "failed_tests"),
        (reply()[:-4], "no_files"),
        ("Sorry, I cannot.", "no_files"),
        (Completion(reply(), "length", 9, 9), "cut_off"),
    ],
)
def test_files_that_prove_nothing_leave(ask, script, sandbox, first, code) -> None:
    timeout_s = 0.3 if "while" in str(first) else 10
    drop, _ = solve(ask, script, sandbox, first, repairs=0, timeout_s=timeout_s)
    assert drop.code == code
    assert code in EpiCoderSolve.codes
