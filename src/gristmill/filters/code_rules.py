"""Keep answers whose Python code compiles, is finished, and imports nothing that it must not.

Source: the rules by which Wei et al., "SelfCodeAlign", arXiv:2410.24198, take functions as seeds;
complexity as in McCabe, "A Complexity Measure" (1976).
Differs from the paper: rules on an answer, or on the code of a seed. The code is compiled
inside the sandbox and never run. Types are checked by mypy, not by Pyright.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Op
from gristmill.engines.sandbox.inspecting import MAX_CHARS, found, inspection
from gristmill.engines.sandbox.profiles import PythonProfile
from gristmill.errors import RequirementError
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import code_facts, type_errors
from gristmill.text.fences import python_code
from gristmill.text.plurals import listed
from gristmill.text.python_source import BANNED

REMARK = re.compile(r"#[^\n]*+")
LATER = re.compile(
    r"\b(?:TODO|FIXME)\b(?![ -]?(?:list|app|item)s?\b)|(?i:\b(?:todo|fixme)\s*[:(]"
    r"|your (?:code|solution|implementation|logic) (?:goes )?here|\bnot (?:yet )?implemented\b"
    r"|\bimplement (?:this|me)\b)"
)
"""In a remark: something is still to be done. To-do lists are what programs are about, too."""


class Nothing(TypedDict):
    """It writes no columns."""


class CodeRules(RowStage):
    """Drop an answer at the first rule that its code breaks; the detail says where."""

    version: ClassVar[int] = 3
    codes: ClassVar[frozenset[str]] = frozenset(
        {"no_code", "code_too_long", "does_not_compile", "banned_import", "unfinished",
         "no_docstring", "too_complex", "wrong_type"}
    )  # fmt: skip

    banned: tuple[str, ...] = tuple(sorted(BANNED))
    """Packages that must not be imported; the paper's, which touch the machine or draw."""
    needs_docstring: bool = False
    """Whether every public function and class at the top must say what it does."""
    needs_finish: bool = True
    """Whether a remark that something is to be done, or a function without a body, is
    `unfinished`; the paper looks for marks alone, and seeds were looked through for those."""
    max_complexity: int = Field(default=50, ge=1)
    """Paths through one function above which it is `too_complex`. Our choice: far above what a
    person writes."""
    code: str | None = Field(default=None, pattern=r"^\w+(\.\w+)*$")
    """Column that is code from end to end, as of a seed; None: the Python blocks of the output."""
    types: PythonProfile | None = None
    """Profile whose mypy checks the types: `mypy`, or one of `engines.sandbox.profiles`, with mypy
    and what it needs as its requirements. None checks none. 0.6 s of a core for a row."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of compiling, and of checking types, in seconds."""

    @property
    def profile(self) -> str | None:
        """Name the profile of the types, which has to be there before the first row."""
        return self.types

    def reads(self) -> frozenset[str]:
        """The answer, or the code."""
        return frozenset({self.code or "output"})

    def needs(self) -> dict[str, Op]:
        """Compile where nothing can be harmed."""
        return {"sandbox": "run"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> Nothing | Drop:
        """Look at the text, then at what the sandbox says about it."""
        code = row[self.code] if self.code else python_code(row["output"] or "")
        if code is None:
            return Drop("no_code", "no code, or no closed Python block in the output")
        if len(code) > MAX_CHARS:
            return Drop("code_too_long", f"{len(code)} > {MAX_CHARS} characters")
        places = filter(None, (LATER.search(remark[0]) for remark in REMARK.finditer(code)))
        if self.needs_finish and (place := next(places, None)):
            return Drop("unfinished", place[0])
        ask = inspection(code_facts, "facts", code, timeout_s=self.timeout_s)
        verdict = await ctx.sandbox.run(ask)
        facts = found(verdict)
        if facts is None:
            return Drop("does_not_compile", f"{verdict.status}: {verdict.detail}")
        whole: Nothing = {}
        return next(self._broken(facts), None) or await self._typed(code, ctx) or whole

    async def _typed(self, code: str, ctx: Context) -> Drop | None:
        if self.types is None:
            return None
        ask = inspection(
            type_errors, "type_errors", code, timeout_s=self.timeout_s, profile=self.types
        )
        verdict = await ctx.sandbox.run(ask)
        errors = found(verdict)
        if verdict.status == "missing_dependency":  # the checker's own: the code is not run
            raise RequirementError(
                f"filters.code_rules: types: the profile {self.types} lacks what mypy needs "
                f"({verdict.detail}); `types: mypy` has it, or name all, with every version: "
                "engines.sandbox.profiles.mine.requirements: [mypy==2.4.1, pathspec==1.1.1, ...]"
            )
        if errors is None:
            return Drop("wrong_type", f"{verdict.status}: {verdict.detail}")
        return Drop("wrong_type", errors[0]) if errors else None

    def _broken(self, facts: Mapping[str, Any]) -> Iterator[Drop]:
        if error := facts.get("error"):
            yield Drop("does_not_compile", error)
            return
        if banned := sorted({*facts["imports"]} & {*self.banned}):
            yield Drop("banned_import", listed(banned))
        if self.needs_finish and facts["stubs"]:
            yield Drop("unfinished", listed(facts["stubs"]))
        if self.needs_docstring and facts["undocumented"]:
            yield Drop("no_docstring", listed(facts["undocumented"]))
        for name, paths in facts["complexities"].items():
            if paths > self.max_complexity:
                yield Drop("too_complex", f"{name} has {paths} > {self.max_complexity} paths")
