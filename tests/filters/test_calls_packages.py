from pathlib import Path

import pytest

from gristmill.engines.sandbox import Sandbox
from gristmill.engines.sandbox.inspecting import found, inspection
from gristmill.engines.sandbox.program import Verdict
from gristmill.errors import InputError, RequirementError
from gristmill.filters.calls_packages import CallsPackages
from gristmill.formats.python_functions import functions_of
from gristmill.pipelines import Drop
from gristmill.text import package_calls

CODE = "import re\n\ndef f(x):\n    y = 1\n    return re.sub('a', 'b', x)\n"


def said(text: str) -> Verdict:
    return Verdict("pass", cells=[{"stdout": text}])


@pytest.mark.parametrize(
    ("uses", "packages", "kept"),
    [
        ('{"packages": ["re"], "apis": ["re.sub"]}', (), True),
        ('{"packages": ["re"], "apis": ["re.sub"]}', ("math", "re"), True),
        ('{"packages": ["re"], "apis": ["re.sub"]}', ("math",), False),
        ('{"packages": ["re"], "apis": []}', (), False),
        ("no json", (), False),
    ],
)
def test_code_that_calls_none_of_the_packages_leaves(ask, script, uses, packages, kept) -> None:
    stage = CallsPackages(packages=packages)
    row = ask(stage, {"code": CODE}, script({"": [said(uses)]}))
    assert isinstance(row, Drop) is not kept
    assert row["apis"] == ["re.sub"] if kept else row.code == "no_package_call"


@pytest.mark.parametrize(
    ("code", "why"),
    [(None, "trivial"), ("import re\nre.sub()\n\n\n", "trivial"), ("x" * 100_001, "code_too_long")],
)
def test_what_the_text_tells_asks_no_sandbox(ask, script, code, why) -> None:
    assert ask(CallsPackages(), {"code": code}, script({})).code == why


def test_the_functions_of_an_installed_package_are_found_and_parsed_in_the_sandbox() -> None:
    parts, _, notes = functions_of(["package:packaging"])
    rows = [row for part in parts for row in part.rows]
    assert {row["module"].partition(".")[0] for row in rows} == {"packaging"}
    assert "functions taken" in notes[-1]
    with Sandbox(1) as sandbox:
        try:
            asked = [inspection(package_calls, "used", row["code"]) for row in rows]
            uses = [found(verdict) for verdict in sandbox.run_all(asked)]
        except RequirementError as error:
            pytest.skip(f"no isolation here: {error}")
    assert any(api.startswith("re.") for use in uses for api in use["apis"])


@pytest.mark.parametrize("name", ["no_such_package_here", "a.b", "../etc", "sys", ""])
def test_a_package_that_is_not_installed_is_an_error_that_says_so(name) -> None:
    with pytest.raises(InputError, match=f"no package '{name}' of Python files is installed"):
        functions_of([f"package:{name}"])


def test_source_that_does_not_parse_is_named_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("def f(:\n")
    (tmp_path / "good.py").write_text('def g(x):\n    """Return it."""\n    return x\n')
    parts, _, _ = functions_of([str(tmp_path)])
    assert [len(part.rows) for part in parts] == [0, 1]
    assert parts[0].malformed
