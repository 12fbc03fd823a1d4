"""Code over a documented library: run against the real one, and held to its documentation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace

from gristmill.engines.sandbox.inspecting import found, inspection
from gristmill.engines.sandbox.modules import BUNDLE
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.text import api_calls

CODES = {"missing_dependency": "missing_package", "weak_tests": "weak_tests"}


async def called(
    run: Callable[[Program], Awaitable[Verdict]],
    program: Program,
    modules: Mapping[str, str],
    documented: Iterable[str],
) -> list[str] | tuple[str, str]:
    """Return which APIs a program with tests calls, if all is well; else a code and what is wrong.

    `undocumented`, `misused`: see `text.api_calls`; `no_api`: it calls none. `missing_package`,
    `weak_tests`, `failed_tests`: what its run came to; `flaky`: a second did not pass. `modules`
    is the library, where no package of the program's profile has it.
    """
    library = BUNDLE.format(files=dict(modules), imports="") if modules else "\n"
    ask = inspection(api_calls, "uses", program.code, [*documented], profile=program.profile)
    used = found(await run(replace(ask, cells=(library, *ask.cells))))
    if used is None or "error" in used:
        return (used["error"], used["detail"]) if used else ("undocumented", "it cannot be read")
    if not used["calls"]:
        return "no_api", program.code
    whole = replace(program, code=library + program.code)
    verdict = await run(whole)
    if verdict.status == "pass":
        again = await run(replace(whole, attempt=1))
        if again.status == "pass":
            return list(used["calls"])
        return "flaky", f"pass, then {again.status}: {again.detail}"
    return CODES.get(verdict.status, "failed_tests"), f"{verdict.status}: {verdict.detail}"
