"""Mode cells: an interactive session, run again from its cells at every turn."""

from dataclasses import replace

import pytest

from gristmill.engines.sandbox import Program, Sandbox
from gristmill.engines.sandbox.program import Verdict

QUIET = {"stdout": "", "stderr": "", "value": None, "error": None}
DIVIDE = """Traceback (most recent call last):
  File "<cell 2>", line 2, in <module>
    f(0)
  File "<cell 1>", line 2, in f
    return 1 / x
            ~~^~~
ZeroDivisionError: division by zero"""
UNFINISHED = """File "<cell 3>", line 1
    1 +
       ^
SyntaxError: invalid syntax"""


def ran(sandbox: Sandbox, *cells: str, **limits: float) -> Verdict:
    (verdict,) = sandbox.run_all([Program("", cells=cells, **limits)])  # type: ignore[arg-type]
    return verdict


def test_each_cell_has_what_it_printed_its_value_or_its_traceback(sandbox: Sandbox) -> None:
    define = "def f(x):\n    return 1 / x"
    verdict = ran(sandbox, define, "print('two')\nf(0)", "1 +", "print('é')\nf(4)", "None", "")
    assert verdict.cells == [
        {"status": "pass", **QUIET},
        {"status": "error", **QUIET, "stdout": "two\n", "error": DIVIDE},
        {"status": "error", **QUIET, "error": UNFINISHED},
        {"status": "pass", **QUIET, "stdout": "é\n", "value": "0.25"},
        {"status": "pass", **QUIET},
        {"status": "pass", **QUIET},
    ]
    assert (verdict.status, verdict.verified_by) == ("pass", "cells")


def test_the_status_is_that_of_the_last_cell(sandbox: Sandbox) -> None:
    verdict = ran(sandbox, "1", "import torch")
    assert (verdict.status, verdict.cells[0]["status"]) == ("missing_dependency", "pass")
    assert verdict.detail == "ModuleNotFoundError: No module named 'torch'"
    assert ran(sandbox, "import torch", "2").status == "pass"


def test_output_belongs_to_the_cell_that_it_came_in(sandbox: Sandbox) -> None:
    shell = (
        "import subprocess, sys\nsubprocess.run(['/bin/echo', 'a child'])\nsys.stderr.write('e')"
    )
    verdict = ran(sandbox, "print('one', end='')", shell, "import os\nos.write(1, b'\\xff\\0')")
    assert [cell["stdout"] for cell in verdict.cells] == ["one", "a child\n", "\\xff\0"]
    assert [cell["stderr"] for cell in verdict.cells] == ["", "e", ""]


def test_every_cell_reads_on_in_the_same_input(sandbox: Sandbox) -> None:
    (verdict,) = sandbox.run_all([Program("", cells=("input()", "input()"), stdin="a\nb\n")])
    assert [cell["value"] for cell in verdict.cells] == ["'a'", "'b'"]


@pytest.mark.parametrize(
    ("cell", "status", "error"),
    [
        ("a = 2\nwhile True: pass", "timeout", "the time limit was reached"),
        ("a = 2\nwhile True: print('x' * 999)", "output_limit", "more output than the limit"),
        ("a = []\nwhile True: a.append(bytearray(1 << 20))", "oom", "the memory limit was reached"),
        ("a = 2\nimport os\nos._exit(0)", "error", "the cell ended its interpreter, exit code 0"),
        ("a = 2\nimport os\nos.abort()", "error", "the cell ended its interpreter, by signal 6"),
    ],
)
def test_a_killed_cell_leaves_no_trace_and_the_others_go_on(
    sandbox: Sandbox, cell: str, status: str, error: str
) -> None:
    limits = {"cell_timeout_s": 0.5 if status == "timeout" else 5.0, "memory_mb": 128}
    verdict = ran(sandbox, "a = 1", cell, "a", cell, "a + 1", timeout_s=30, **limits)
    assert [c["status"] for c in verdict.cells] == ["pass", status, "pass", status, "pass"]
    assert [c["value"] for c in verdict.cells] == [None, None, "1", None, "2"]
    assert verdict.cells[1]["error"] == verdict.cells[3]["error"] == error
    assert verdict.status == "pass"
    assert len(verdict.cells[1]["stdout"]) == (65536 if status == "output_limit" else 0)


def test_the_time_of_the_session_bounds_all_its_cells_and_replays(sandbox: Sandbox) -> None:
    endless = ("a = 1", *["while True: pass"] * 9)
    verdict = ran(sandbox, *endless, timeout_s=2, cell_timeout_s=0.5)
    assert [cell["status"] for cell in verdict.cells] == ["pass", *["timeout"] * 9]
    errors = [str(cell["error"]) for cell in verdict.cells]
    assert "never ran" not in errors[1]
    assert "never ran" in errors[9]


def test_a_turn_repeats_the_records_of_the_turns_before(sandbox: Sandbox) -> None:
    cells = ("x = [1]", "x.append(len(x))\nx", "while True: pass", "x * 2", "x[9]")
    turns = [ran(sandbox, *cells[: n + 1], cell_timeout_s=0.3).cells for n in range(len(cells))]
    assert [turn[-1] for turn in turns] == turns[-1]
    assert all(turn == turns[-1][: len(turn)] for turn in turns)


def test_a_session_that_depends_on_chance_shows(sandbox: Sandbox) -> None:
    first, again = (
        ran(sandbox, "import os", "os.urandom(8)"),
        ran(sandbox, "import os", "os.urandom(8)"),
    )
    assert first.cells[0] == again.cells[0]
    assert first.cells[1] != again.cells[1]


def test_strange_and_long_texts_come_out_as_texts(sandbox: Sandbox) -> None:
    verdict = ran(
        sandbox, "'\ud800'", "'x' * 10**6", "raise KeyError('k' * 10**6)", "print('\\0\\x1b')"
    )
    assert verdict.cells[0]["value"] == "'\ufffd'"
    assert verdict.cells[1]["value"] == "'" + "x" * 3999 + "..."
    assert len(str(verdict.cells[2]["error"])) == 2000
    assert Verdict.unpack(verdict.pack()) == verdict
    assert verdict.detail.isprintable()


def test_cells_and_their_limit_are_in_the_key_of_sessions_alone() -> None:
    one = Program("", cells=("1", "2"))
    keys = {
        p.key("id") for p in (one, Program("", cells=("1", "2", "3")), Program("", cells=("12",)))
    }
    keys |= {replace(one, cell_timeout_s=1.0).key("id"), Program("").key("id")}
    assert len(keys) == 5
    assert Program("x").key("id") == Program("x", cell_timeout_s=1.0).key("id")


def test_sixty_four_cells_are_one_run(sandbox: Sandbox) -> None:
    verdict = ran(sandbox, "n = 0", *["n += 1\nprint('y' * 60000)\nn"] * 63, timeout_s=30)
    assert [cell["value"] for cell in verdict.cells[1:]] == [str(i) for i in range(1, 64)]
    assert {len(cell["stdout"]) for cell in verdict.cells[1:]} == {60001}
