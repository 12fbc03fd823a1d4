import json

import pytest

from gristmill import run
from gristmill.engines.sandbox import Sandbox
from gristmill.engines.sandbox.program import Verdict
from gristmill.errors import RecipeError, RequirementError
from gristmill.filters.code_rules import CodeRules
from gristmill.pipelines import Drop, LocalRunner, Recipe
from gristmill.text.type_errors import type_errors

FACTS = {"imports": ["re"], "stubs": [], "undocumented": ["f"], "complexities": {"f": 3}}


def answer(code: str) -> dict[str, str]:
    return {"output": f"Here:\n```python\n{code}\n```"}


def said(**facts: object) -> Verdict:
    return Verdict("pass", cells=[{"stdout": json.dumps({**FACTS, **facts})}])


@pytest.mark.parametrize(
    ("facts", "changes", "wanted"),
    [
        ({}, {}, None),
        ({"imports": ["os", "re", "sys"]}, {}, Drop("banned_import", "os, sys")),
        ({"imports": ["os"]}, {"banned": ["re"]}, None),
        ({"stubs": ["f"]}, {}, Drop("unfinished", "f")),
        ({"stubs": ["f"]}, {"needs_finish": False}, None),
        ({}, {"needs_docstring": True}, Drop("no_docstring", "f")),
        ({}, {"max_complexity": 2}, Drop("too_complex", "f has 3 > 2 paths")),
        ({}, {"max_complexity": 3}, None),
        ({"error": "SyntaxError: x"}, {}, Drop("does_not_compile", "SyntaxError: x")),
    ],
)
def test_every_rule_has_its_code(ask, script, facts, changes, wanted) -> None:
    engine = script({"": [said(**facts)]})
    out = ask(CodeRules(**changes), answer("def f(): return 1"), engine)
    assert (out or None) == wanted
    (program,) = engine.calls
    assert program.cells[0].endswith("facts('def f(): return 1')))\n")


@pytest.mark.parametrize(
    ("output", "code"),
    [
        (None, "no_code"),
        ("def f(): return 1", "no_code"),
        (answer("# TODO")["output"], "unfinished"),
        (answer("x" * 100_001)["output"], "code_too_long"),
    ],
)
def test_what_the_text_tells_asks_no_sandbox(ask, script, output, code) -> None:
    assert ask(CodeRules(), {"output": output}, script({})).code == code


@pytest.mark.parametrize(
    "code",
    ["# TODO: the rest", "x = 1  # fixme: wrong", "# Your code here", "#todo(ann) sort",
     "# not yet implemented"],
)  # fmt: skip
def test_a_remark_that_something_is_to_be_done_is_no_finished_code(ask, script, code) -> None:
    assert ask(CodeRules(), answer(code), script({})).code == "unfinished"
    assert ask(CodeRules(needs_finish=False), answer(code), script({"": [said()]})) == {}


@pytest.mark.parametrize(
    "code",
    ["todo = Todo('milk')", "# A TODO list app", "return NotImplemented", "'Todo: deleted'",
     "except nx.NetworkXNotImplemented: pass", "# Add a todo item to the list"],
)  # fmt: skip
def test_lists_of_things_to_do_and_values_of_python_are_finished_code(ask, script, code) -> None:
    assert ask(CodeRules(), answer(code), script({"": [said()]})) == {}


def test_a_line_of_marks_is_read_once(ask, script) -> None:
    assert ask(CodeRules(), answer("#" * 99_000), script({"": [said()]})) == {}


@pytest.mark.parametrize(
    ("errors", "wanted"),
    [([], None), (["2: no int", "3: no"], Drop("wrong_type", "2: no int"))],
)
def test_types_are_checked_on_request_by_a_profile(ask, script, errors, wanted) -> None:
    verdict = Verdict("pass", cells=[{"stdout": json.dumps(errors)}])
    engine = script({"": [said(), verdict]})
    out = ask(CodeRules(types="mine"), answer("def f(): return 1"), engine)
    assert (out or None) == wanted
    assert [program.profile for program in engine.calls] == ["bare", "mine"]


def test_a_checker_that_says_nothing_is_no_pass_and_one_that_is_missing_an_error(
    ask, script
) -> None:
    def checked(verdict: Verdict) -> Drop:
        engine = script({"": [said(), verdict]})
        return ask(CodeRules(types="mine"), answer("def f(): return 1"), engine)

    assert checked(Verdict("timeout", "10 s")) == Drop("wrong_type", "timeout: 10 s")
    with pytest.raises(RequirementError, match=r"profile mine .*\(no mypy\); .*requirements: \["):
        checked(Verdict("missing_dependency", "no mypy"))


def test_the_code_of_a_seed_is_checked_as_it_stands(ask, script) -> None:
    assert CodeRules(code="code").reads() == {"code"}
    engine = script({"": [said(), Verdict("pass", cells=[{"stdout": '["2: no int"]'}])]})
    out = ask(CodeRules(code="code", types="mine"), {"code": "def f(): return 1"}, engine)
    assert out == Drop("wrong_type", "2: no int")
    assert "def f(): return 1" in engine.calls[1].cells[0]
    assert ask(CodeRules(code="code"), {"code": None}, script({})).code == "no_code"


def test_a_profile_of_types_that_is_not_there_is_told_before_the_first_row() -> None:
    sandbox = Sandbox(1)
    sandbox.accept("stages.0", CodeRules(types="mypy"))
    with pytest.raises(RecipeError, match=r"stages.0: no profile 'mipy' .* did you mean .*mypy"):
        sandbox.accept("stages.0", CodeRules(types="mipy"))


@pytest.mark.slow
def test_what_the_checker_says_names_line_and_fault() -> None:
    code = "import nowhere\n\ndef f(x: int) -> str:\n    return nowhere.g(x)\n"
    assert type_errors(code) == []
    (error,) = type_errors("def f(x: int) -> str:\n    return x\n")
    assert error.startswith("2: Incompatible return value type")
    assert type_errors("def f(:")[0].startswith("1: ")
    untyped = (
        "def f(n):\n    d = {}\n    x = 0\n    x = n / 2\n    d[x] = n = list(d)\n    return n\n"
    )
    assert type_errors(untyped) == [], "nobody said of which types they are"


def test_code_that_no_compiler_survives_does_not_compile(ask, script) -> None:
    engine = script({"": [Verdict("oom", "64 MiB")]})
    assert ask(CodeRules(), answer("def f(): 1"), engine) == Drop("does_not_compile", "oom: 64 MiB")


def test_the_sandbox_compiles_and_runs_nothing(tmp_path) -> None:
    sandbox = Sandbox(1)
    try:
        sandbox.run_all([])
    except RequirementError as error:
        pytest.skip(f"no isolation here: {error}")
    codes = [
        "import re\nprint('ran')\nraise SystemExit(3)\n\ndef f(x):\n    return '\\'\\n' + x",
        "import subprocess",
        "def f(:",
        "x = " + "-" * 50_000 + "1",
    ]
    recipe = Recipe.model_validate({"name": "rules", "stages": [{"use": "filters.code_rules"}]})
    result = run(recipe, list(map(answer, codes)), {"sandbox": sandbox}, LocalRunner(), tmp_path)
    assert [row["output"] for row in result.dataset.to_pylist()] == [answer(codes[0])["output"]]
    assert result.ledger[0]["codes"] == {"banned_import": 1, "does_not_compile": 2}
