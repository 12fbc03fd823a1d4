"""Programs of several files: written into their folder inside, imported, then tested."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from gristmill.engines.sandbox.inspecting import found, inspection
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.text import code_facts, own_modules
from gristmill.text.code_files import modules_of, tests_among

BUNDLE = """import os, sys
for _name, _text in {files!r}.items():
    os.makedirs(os.path.dirname(_name) or ".", exist_ok=True)
    with open(_name, "w", encoding="utf-8", newline="") as _file:
        _file.write(_text)
sys.path.insert(0, os.getcwd())
{imports}
"""
MAX_STDERR = 2000
"""Characters of what a run wrote there, the last ones."""
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


async def checked(
    run: Run, files: Mapping[str, str], timeout_s: float, profile: str = "bare"
) -> tuple[str, str]:
    """Return what comes of files, their tests among them, and why: the first that is no pass.

    A file that does not parse, or tests that import none of the others, are an `error`; without
    tests it is `no_tests`. Else the status is that of `judge`.
    """
    names = tests_among(files)
    others = {name: text for name, text in files.items() if name not in names}
    for name in sorted(others):
        told = found(await run(inspection(code_facts, "facts", others[name])))
        if name.endswith(".py") and (told is None or "error" in told):
            return "error", f"{name}: {told['error'] if told else 'it could not be parsed'}"
    for name in names:
        suite = await suite_of(run, files[name], others)
        if suite.error:
            return "error", f"{name}: {suite.error}"
        verdict = await judge(run, others, suite, timeout_s, profile)
        if verdict.status != "pass":
            return (
                verdict.status,
                f"{name}: {verdict.detail}\n{verdict.stderr[-MAX_STDERR:]}".strip(),
            )
    return ("pass", "all tests pass") if names else ("no_tests", "there are no tests yet")
