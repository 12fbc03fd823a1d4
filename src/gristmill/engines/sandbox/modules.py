"""Programs of several files: written into their folder inside, imported, then tested."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from gristmill.engines.sandbox.inspecting import found, inspection
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.text import own_modules
from gristmill.text.code_files import modules_of

BUNDLE = """import os, sys
for _name, _text in {files!r}.items():
    os.makedirs(os.path.dirname(_name) or ".", exist_ok=True)
    with open(_name, "w", encoding="utf-8", newline="") as _file:
        _file.write(_text)
sys.path.insert(0, os.getcwd())
{imports}
"""
Run = Callable[[Program], Awaitable[Verdict]]


@dataclass(frozen=True, slots=True)
class Suite:
    """Tests of files. What they import of these stands apart: tests import nothing untrusted.

    `error` says why a text is none; nothing is run then.
    """

    imports: str = ""
    tests: str = ""
    error: str = ""


async def suite_of(run: Run, tests: str, names: Iterable[str]) -> Suite:
    """Return the tests of files; they must import some of them, at the top."""
    verdict = await run(inspection(own_modules, "apart", tests, modules_of(names)))
    return Suite(**(found(verdict) or {"error": "it could not be parsed"}))


async def judge(
    run: Run, files: Mapping[str, str], suite: Suite, timeout_s: float, profile: str = "bare"
) -> Verdict:
    """Run tests over files, and those that pass again, and over functions that return None.

    The status is `weak_tests` where these pass too; runs that differ have a detail with `flaky`.
    """

    def over(files: Mapping[str, str], attempt: int = 0) -> Awaitable[Verdict]:
        code = BUNDLE.format(files=dict(files), imports=suite.imports)
        return run(
            Program(code, suite.tests, timeout_s=timeout_s, profile=profile, attempt=attempt)
        )

    first = await over(files)
    if first.status != "pass":
        return first
    again = await over(files, attempt=1)
    if again.status != "pass":
        return replace(again, detail=f"flaky: pass, then {again.status}: {again.detail}")
    if (await over(await stubs(run, files))).status == "pass":
        return replace(first, status="weak_tests", detail="functions that return None pass too")
    return first


async def stubs(run: Run, files: Mapping[str, str]) -> dict[str, str]:
    """Return the files with functions that return None; what is no Python stays."""
    made = dict(files)
    for name in (name for name in files if name.endswith(".py")):
        made[name] = found(await run(inspection(own_modules, "stubbed", files[name]))) or ""
    return made
