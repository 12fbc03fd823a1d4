"""Guaranteed Guess: translations, and the first that prints what the program prints."""

import pytest
from pydantic import ValidationError

from gristmill.engines.requests import Completion
from gristmill.engines.sandbox import Verdict, line_coverage
from gristmill.engines.sandbox.inspecting import found, inspection
from gristmill.generators.guaranteed_guess import GuaranteedGuess

SOURCE = "n = int(input())\nif n > 0:\n    print(n // 2)\nelse:\n    print(-n)\n"
ROW = {"code": SOURCE, "stdin": ["8\n", "-3\n"]}
GOOD = "const n = Number(require('fs').readFileSync(0));\nconsole.log(n > 0 ? n >> 1 : -n);"
BAD = "console.log(4);"


def block(code: str, language: str = "javascript") -> str:
    return f"Here it is.\n```{language}\n{code}\n```"


def guess(ask, script, sandbox, replies, row=ROW, **changes):
    engine = script({"### Translation": replies} if replies else {})
    how = {"source": "python", "target": "javascript", "beams": len(replies) or 1, **changes}
    return ask(GuaranteedGuess(**how), row, {"generator": engine, "sandbox": sandbox})


def test_the_first_right_translation_stays_with_its_rank(ask, script, sandbox) -> None:
    replies = [block(BAD), "Sorry, I cannot.", block(BAD) + "\nNo:\n" + block(GOOD), block(GOOD)]
    row = guess(ask, script, sandbox, replies)
    assert (row["beam_rank"], row["coverage"]) == (3, 1.0)
    assert row["outputs"] == ["4\n", "3\n"]
    assert row["output"] == f"```javascript\n{GOOD}\n```", "the last block counts"
    assert row["instruction"] == (
        "Translate this program from Python to JavaScript for Node.js.\n\n"
        f"```python\n{SOURCE.strip()}\n```"
    )


def test_a_program_that_prints_nothing_for_an_input_can_be_translated(ask, script, sandbox) -> None:
    row = {"code": "n = int(input())\nif n > 0:\n    print(n)", "stdin": ["8\n", "-3\n"]}
    read = "const n = Number(require('fs').readFileSync(0));\n"
    replies = [
        block(f"{read}console.log(n);"),
        block(read),
        block(f"{read}if (n > 0) console.log(n);"),
    ]
    found = guess(ask, script, sandbox, replies, row)
    assert (found["outputs"], found["beam_rank"]) == (["8\n", ""], 3)


@pytest.mark.parametrize(
    ("replies", "code"),
    [
        ([block(BAD)], "wrong"),
        ([block("syntax error(")], "wrong"),
        ([block("process.exit(0)")], "wrong"),
        ([block(GOOD, "rust")], "no_code"),
        ([block(GOOD).removesuffix("```")], "no_code"),
        ([" "], "empty"),
        ([Completion(block(GOOD), "length", 9, 9)], "cut_off"),
    ],
)
def test_no_right_translation_is_no_row(ask, script, sandbox, replies, code) -> None:
    assert guess(ask, script, sandbox, replies).code == code
    assert code in GuaranteedGuess.codes


def test_a_translation_that_cannot_be_run_here_is_not_called_wrong(ask, script) -> None:
    prints, lacks = Verdict("fail", stdout="4"), Verdict("missing_dependency", "g++")
    runs = [prints, Verdict("fail", stdout="3")] * 2 + [lacks] * 2
    engine = script({"### Translation": [block("int main() {}", "cpp")], "": runs})
    how = {"source": "javascript", "target": "cpp", "beams": 1, "min_coverage": 0}
    assert ask(GuaranteedGuess(**how), ROW, engine).code == "missing_tool"


def test_coverage_that_nobody_measures_cannot_be_asked_for() -> None:
    with pytest.raises(ValidationError, match="set min_coverage to 0"):
        GuaranteedGuess(source="javascript", target="cpp")
    assert GuaranteedGuess(source="javascript", target="cpp", min_coverage=0).min_coverage == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"stdin": []}, "no_inputs"),
        ({"stdin": ["8\n", "4\n"]}, "weak_tests"),
        ({"code": "input()\nprint(4)"}, "weak_tests"),
        ({"code": "def f(:"}, "bad_source"),
        ({"code": "import os\nprint(input(), os.urandom(4))"}, "flaky"),
    ],
)
def test_a_program_that_tests_nothing_asks_nobody(ask, script, sandbox, change, code) -> None:
    drop = guess(ask, script, sandbox, [], {**ROW, **change}, min_coverage=0.98)
    assert drop.code == code
    assert code in GuaranteedGuess.codes


def test_where_the_source_is_no_python_the_translation_is_measured(ask, script, sandbox) -> None:
    row = {"code": GOOD, "stdin": ["8\n", "-3\n"]}
    both = {"source": "javascript", "target": "python"}
    found = guess(ask, script, sandbox, [block(SOURCE, "python")], row, **both)
    assert found["coverage"] == 1.0
    dead = SOURCE + "if n == 5:\n    print(n)\n"
    assert guess(ask, script, sandbox, [block(dead, "python")], row, **both).code == "weak_tests"
    some = guess(ask, script, sandbox, [block(dead, "python")], row, min_coverage=0.5, **both)
    assert some["coverage"] == pytest.approx(5 / 6)


@pytest.mark.slow
def test_c_plus_plus_is_compiled_and_believed(ask, script, sandbox) -> None:
    code = "#include <iostream>\nint main() { int n; std::cin >> n; std::cout << n / 2; }"
    row = guess(
        ask, script, sandbox, [block("print(int(input()) // 2)", "python")],
        {"code": code, "stdin": ["8", "5"]}, source="cpp", target="python",
    )  # fmt: skip
    assert row["outputs"] == ["4", "2"]


def test_lines_of_functions_count_where_they_run(sandbox) -> None:
    code = "def f(x):\n    if x:\n        return 1\n    return 0\n\nprint(f(input()))\n"
    code += "raise SystemExit\n"
    given = (["a"], ["a", "\n"], [])
    asked = [inspection(line_coverage, "covered", code, inputs) for inputs in given]
    assert [found(v) for v in sandbox.run_all(asked)] == [[5, 6], [6, 6], [0, 6]]
