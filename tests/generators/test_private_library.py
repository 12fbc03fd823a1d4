"""Private libraries: tasks from documentation, code that keeps to it and to the real library."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from gristmill.engines.requests import Completion
from gristmill.engines.sandbox import Verdict
from gristmill.engines.sandbox.inspecting import found, inspection
from gristmill.generators.private_library import PrivateLibrary
from gristmill.text import api_calls

DOCS = (
    ("monkey.head_of", "(rows, n=5)", "First rows of a table. Fewer if there are no more."),
    ("monkey.Table", "(rows)", "A table of rows."),
    ("monkey.sums.total", "(rows)", "Sum of all {numbers}."),
)
LIBRARY = (
    (
        "monkey/__init__.py",
        "def head_of(rows, n=5):\n    return rows[:n]\n\ndef hidden():\n    return 1\n\n"
        "class Table:\n    def __init__(self, rows):\n        self.rows = rows\n",
    ),
    ("monkey/sums.py", "def total(rows):\n    return sum(rows)\n"),
)
CODE = "import monkey as mk\nfrom monkey.sums import total\n\ndef f(rows):\n"
CODE += "    return total(mk.head_of(rows, n=2))"
TESTS = "assert f([1, 2, 3]) == 3\nassert f([]) == 0"
ROW = dict(zip(("path", "signature", "description"), DOCS[0], strict=True))


VECTORS = {
    "Sum the": [1.0, 0.5, 0.0],
    "head_of": [1.0, 0.0, 0.0],
    "Table": [0.0, 0.0, 1.0],
    "sums": [0.0, 1.0, 0.0],
}
"""Of the task, and of each API."""


def two(code: str, tests: str = TESTS) -> str:
    return f"So:\n```python\n{code}\n```\nand\n```python\n{tests}\n```"


def write(ask, script, sandbox, replies, **changes):
    engine = script({"### Solution": replies[1:], "### Task": replies[:1]})
    embedder = script({key: [vector] for key, vector in VECTORS.items()} if replies[1:] else {})
    engines = {"generator": engine, "embedder": embedder, "sandbox": sandbox}
    how = {"docs": DOCS, "modules": LIBRARY, "most": 1, "k": 2, **changes}
    return ask(PrivateLibrary(**how), ROW, engines), engine.calls


TASK = "Sum the first two: write f(rows)."


def test_code_that_keeps_to_the_library_is_a_row(ask, script, sandbox) -> None:
    row, calls = write(ask, script, sandbox, [TASK, two(CODE)])
    assert (row["instruction"], row["tests"]) == (TASK, TESTS)
    assert row["apis"] == ["monkey.head_of", "monkey.sums.total"]
    assert row["input"] == (
        "monkey.head_of(rows, n=5): First rows of a table.\n"
        "monkey.sums.total(rows): Sum of all {numbers}."
    ), "the two that are most like the task, the best first"
    assert row["recall"] == 1.0
    assert "monkey.Table" not in calls[0].prompt[0]["content"]
    other, _ = write(ask, script, sandbox, [TASK, two(CODE)], k=1)
    assert (other["recall"], other["input"].count("\n")) == (1.0, 0)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (CODE.replace("monkey", "pandas"), "no_api"),
        ("import pandas\n" + CODE, "missing_package"),
        (CODE.replace("mk.head_of(rows, n=2)", "mk.hidden(rows)"), "undocumented"),
        (CODE + "\ng = mk.hidden", "undocumented"),
        ("from monkey import *\n" + CODE, "undocumented"),
        (CODE + "\n__import__('monkey').hidden()", "undocumented"),
        ("from importlib import import_module\n" + CODE, "undocumented"),
        (CODE + "\ng = getattr(mk, 'hidden')", "undocumented"),
        (CODE + "\nimport sys\ng = sys.modules['monkey'].hidden", "undocumented"),
        ("def f(:", "undocumented"),
        (CODE.replace("n=2", "count=2"), "misused"),
        (CODE.replace("rows, n=2", "rows, 2, 3"), "misused"),
        (CODE.replace("n=2", "n=1"), "failed_tests"),
        (CODE + "\nimport sys\nsys.exit(0)", "failed_tests"),
    ],
)
def test_code_that_invents_or_fails_leaves(ask, script, sandbox, code: str, why: str) -> None:
    drop, _ = write(ask, script, sandbox, [TASK, two(code)])
    assert drop.code == why
    assert why in PrivateLibrary.codes


def test_tests_that_pass_only_at_first_are_flaky(ask, script) -> None:
    used = Verdict("pass", cells=[{"stdout": '{"calls": ["monkey.head_of"]}'}])
    runs = script({TESTS: [Verdict("pass"), Verdict("fail", "check 0")], "": [used]})
    drop, _ = write(ask, script, runs, [TASK, two(CODE)])
    assert (drop.code, drop.detail) == ("flaky", "pass, then fail: check 0")
    assert drop.code in PrivateLibrary.codes


@pytest.mark.parametrize(
    ("replies", "code"),
    [
        ([" "], "empty"),
        ([Completion(TASK, "length", 9, 9)], "cut_off"),
        ([TASK, "Sorry, I cannot."], "no_code"),
        ([TASK, two(CODE)[:-3]], "no_code"),
        ([TASK, two(CODE, "assert True")], "weak_tests"),
    ],
)
def test_a_reply_without_both_leaves(ask, script, sandbox, replies, code: str) -> None:
    drop, _ = write(ask, script, sandbox, replies)
    assert drop.code == code
    assert code in PrivateLibrary.codes


def test_a_library_that_is_installed_needs_no_modules(ask, script, sandbox) -> None:
    docs = tuple((path.replace("monkey.sums.total", "math.fsum"), *rest) for path, *rest in DOCS)
    code = "from math import fsum\n\ndef f(rows):\n    return fsum(rows[:2])"
    engine = script({"### Solution": [two(code)], "### Task": ["Sum the first two."]})
    embedder = script({key.replace("sums", "fsum"): [v] for key, v in VECTORS.items()})
    engines = {"generator": engine, "embedder": embedder, "sandbox": sandbox}
    assert ask(PrivateLibrary(docs=docs, most=1), ROW, engines)["apis"] == ["math.fsum"]


def test_arguments_that_only_a_run_knows_and_functions_without_signature_are_taken(sandbox) -> None:
    code = "import math, time\ndef f(a, k):\n    return math.hypot(*a, **k) + time.strftime('%Y')"
    asked = inspection(api_calls, "uses", code, ["math.hypot", "time.strftime"])
    (verdict,) = sandbox.run_all([asked])
    assert found(verdict) == {"calls": ["math.hypot", "time.strftime"]}


def test_docs_and_modules_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "docs.jsonl").write_text(json.dumps(ROW))
    (tmp_path / "lib" / "monkey").mkdir(parents=True)
    (tmp_path / "lib" / "monkey" / "__init__.py").write_text("x = 1\n")
    stage = PrivateLibrary(docs=str(tmp_path / "docs.jsonl"), modules=str(tmp_path / "lib"))
    assert stage.docs == (DOCS[0],)
    assert stage.modules == (("monkey/__init__.py", "x = 1\n"),)
    assert len(PrivateLibrary().docs) == 8
    (tmp_path / "docs.jsonl").write_text('{"path": "a"}')
    with pytest.raises(ValidationError, match="line 1: an API needs the texts path, signature"):
        PrivateLibrary(docs=str(tmp_path / "docs.jsonl"))
    with pytest.raises(ValidationError, match="no file or folder"):
        PrivateLibrary(modules=str(tmp_path / "none"))
