"""What is no program is refused with a clear error; what is a bad one gets a verdict, in time."""

import re
import time
from typing import Any

import pytest

from gristmill.engines.sandbox import Program, Sandbox
from gristmill.errors import InputError

CHECK = "assert f(1) == 1"
SAME = "def f(x):\n    return x\n"
HALF = "\ud800"
"""Half a surrogate pair: no text that could be written to a file."""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"code": b"x = 1"}, "code of a program must be text, found bytes"),
        ({"code": None}, "code of a program must be text, found NoneType"),
        ({"tests": ["assert 1"]}, "tests of a program must be text, found list"),
        ({"stdin": 5}, "stdin of a program must be text, found int"),
        ({"stdout": b"4"}, "stdout of a program must be text, found bytes"),
        ({"profile": None}, "profile of a program must be text, found NoneType"),
        ({"calls": "f(1)"}, "calls of a program must be a tuple of texts"),
        ({"calls": (1,)}, "calls of a program must be a tuple of texts"),
        ({"code": "", "cells": "1"}, "cells of a program must be a tuple of texts"),
        ({"code": "", "cells": (1,)}, "cells of a program must be a tuple of texts"),
        ({"cells": ("1",)}, "make it the first cell"),
        ({"code": "", "cells": ("1",), "calls": ("f()",)}, "found more than one of them"),
        ({"code": "", "cells": ("1",) * 65}, "65 cells of 65 characters: at most 64 of 262144"),
        ({"code": "", "cells": ("x" * (1 << 18), "y")}, "2 cells of 262145 characters"),
        ({"cell_timeout_s": 0}, "cell_timeout_s of a program must be from 0.001 to 86400, found 0"),
        ({"tests": "assert 1", "stdout": "1"}, "found more than one of them"),
        ({"calls": ("f(1)",), "stdout": "1"}, "found more than one of them"),
        ({"stdout": "x" * (1 << 20) + "y"}, "1048576 at most|at most 1048576"),
        ({"timeout_s": 0}, "timeout_s of a program must be from 0.001 to 86400, found 0"),
        ({"timeout_s": -1.0}, "timeout_s of a program must be from 0.001 to 86400, found -1.0"),
        ({"timeout_s": float("nan")}, "timeout_s .* found nan"),
        ({"timeout_s": float("inf")}, "timeout_s .* found inf"),
        ({"timeout_s": "10"}, "timeout_s .* found '10'"),
        ({"timeout_s": True}, "timeout_s .* found True"),
        ({"memory_mb": 0}, "memory_mb of a program must be from 1 to 4194304, found 0"),
        ({"memory_mb": -64}, "memory_mb .* found -64"),
        ({"memory_mb": 64.5}, "memory_mb .* found 64.5"),
        ({"tolerance": -1e-9}, "tolerance of a program must be from 0 to 1"),
        ({"mutants": -1}, "mutants of a program must be from 0 to 1000, found -1"),
        ({"mutants": 1.5}, "mutants .* found 1.5"),
        ({"attempt": -1}, "attempt of a program must be from 0"),
    ],
)
def test_what_is_no_program_is_refused_when_it_is_made(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Program(**{"code": SAME, **change})


@pytest.mark.parametrize("name", ["nunpy", "", "a\0b", "../bare"])
def test_a_profile_that_does_not_exist_is_refused(sandbox: Sandbox, name: str) -> None:
    with pytest.raises(InputError, match=f"no profile {re.escape(repr(name))}"):
        sandbox.run_all([Program(SAME, CHECK, profile=name)])


BIG = "x" * (10 << 20)


@pytest.mark.parametrize(
    ("status", "program"),
    [
        ("error", Program("", CHECK)),
        ("weak_tests", Program("", "")),
        ("weak_tests", Program(SAME, "")),
        ("weak_tests", Program(SAME, "f(1)\nprint('no assert')")),
        ("error", Program("def f(x:\n", CHECK)),
        ("error", Program(SAME, "assert f(1 ==")),
        ("error", Program(f"{SAME}x = 'a\0b'", CHECK)),
        ("error", Program(SAME, "\0")),
        ("error", Program("\0" * 1000, CHECK)),
        ("pass", Program(f"{SAME}x = '{HALF}'", CHECK)),
        ("error", Program(f"{HALF} = 1\n{SAME}", CHECK)),
        ("fail", Program(SAME, f"assert f('a') == '{HALF}'")),
        ("pass", Program("print(len(input()))", stdin=HALF, stdout="1")),
        ("fail", Program("print(1)", stdout=HALF)),
        ("timeout", Program(SAME, "while True:\n    f(1)", timeout_s=0.5)),
        ("timeout", Program(SAME, f"{CHECK}\nwhile True: pass", timeout_s=0.5)),
        ("timeout", Program("input()\nwhile True: pass", stdin="1", stdout="1", timeout_s=0.5)),
        ("timeout", Program(f"{SAME}sum(range(10**7))\n", CHECK, timeout_s=0.001)),
        ("error", Program("input()", stdout="1")),
        ("pass", Program(f"{SAME}big = '{BIG}'", CHECK)),
        ("pass", Program(f"{SAME}# {BIG}", CHECK)),
        ("error", Program(BIG, CHECK)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_program_gets_its_verdict_and_never_hangs(sandbox: Sandbox, status, program) -> None:
    started = time.monotonic()
    (verdict,) = sandbox.run_all([program])
    assert verdict.status == status, (verdict.status, verdict.detail[:300])
    assert time.monotonic() - started < 3 * (program.timeout_s + 2)
    assert program.key("engine") == program.key("engine")
    assert verdict.unpack(verdict.pack()) == verdict


@pytest.mark.parametrize(
    "code",
    ["x = 1\n" * (10 * (1 << 20) // 6), "[" * (10 << 20), "(" * 5000, "-" * 1_000_000 + "1"],
    ids=["statements", "brackets", "parentheses", "signs"],
)
def test_code_that_costs_its_parser_dear_stays_within_its_limits(sandbox: Sandbox, code) -> None:
    program = Program(code + "\n" + SAME, CHECK, timeout_s=2, memory_mb=256)
    started = time.monotonic()
    (verdict,) = sandbox.run_all([program])
    assert verdict.status in {"error", "timeout", "oom"}, (verdict.status, verdict.detail[:300])
    assert time.monotonic() - started < 3 * (2 + 2)


@pytest.mark.parametrize("memory_mb", [1, 4])
def test_less_memory_than_an_interpreter_needs_is_no_trouble_of_the_machine(
    sandbox: Sandbox, memory_mb: int
) -> None:
    # A warm interpreter may have what a small program needs already.
    (verdict,) = sandbox.run_all([Program(SAME, CHECK, memory_mb=memory_mb)])
    assert verdict.status in {"oom", "pass"}, verdict


def test_what_a_parser_warns_of_reaches_no_program_and_holds_nobody_up(sandbox: Sandbox) -> None:
    warned = SAME + "def never():\n" + "    x is 1\n" * 1200
    for _ in range(3):
        (verdict,) = sandbox.run_all([Program(warned, CHECK, timeout_s=5)])
        assert (verdict.status, verdict.stderr) == ("pass", ""), verdict


def test_a_large_text_leaves_the_next_program_its_memory(lone: Sandbox) -> None:
    large = SAME + "def never():\n" + "    x = 1 + y\n" * 150_000
    (verdict,) = lone.run_all([Program(large, CHECK, memory_mb=2048, timeout_s=60)])
    assert verdict.status == "pass", verdict
    for memory_mb in (64, 128):
        (verdict,) = lone.run_all([Program(SAME, CHECK, memory_mb=memory_mb)])
        assert verdict.status == "pass", verdict


def test_a_signal_to_its_init_ends_no_program(sandbox: Sandbox) -> None:
    code = f"import os, signal\nos.kill(1, signal.SIGINT)\n{SAME}"
    assert sandbox.run_all([Program(code, CHECK)])[0].status == "pass"
    code = "import os, signal\ndef f(x):\n    os.kill(os.getpid(), signal.SIGINT)\n    return x * x"
    (verdict,) = sandbox.run_all([Program(code, CHECK)])
    assert (verdict.status, "KeyboardInterrupt" in verdict.detail) == ("error", True), verdict
