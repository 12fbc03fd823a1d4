"""Keep code that calls packages, and say which of them and what.

Source: Ma et al., "UnitCoder", arXiv:2502.11460, section 3 (package-based retrieval).
Differs from the paper: its list of packages is not published; yours is a parameter.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypedDict

from pydantic import Field

from gristmill.engines.requests import Op
from gristmill.engines.sandbox.inspecting import MAX_CHARS, found, inspection
from gristmill.pipelines.context import Context
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text import package_calls


class Uses(TypedDict):
    """What it writes: packages that are referenced, not merely imported; full names of calls."""

    packages: list[str]
    apis: list[str]


class CallsPackages(RowStage):
    """Drop code that calls nothing of the packages, or is too short to be worth a test."""

    codes: ClassVar[frozenset[str]] = frozenset({"no_package_call", "trivial", "code_too_long"})

    field: str = "code"
    """Column with the code."""
    packages: tuple[str, ...] = ()
    """Packages of which one must be called; none named: any import of the code will do."""
    min_lines: int = Field(default=4, ge=1)
    """Lines with something in them, below which code is trivial. Our choice."""

    def reads(self) -> frozenset[str]:
        """The column is a parameter."""
        return frozenset({self.field})

    def needs(self) -> dict[str, Op]:
        """Parse where nothing can be harmed."""
        return {"sandbox": "run"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> Uses | Drop:
        """Look at the text, then at what the sandbox says about it."""
        code = row[self.field] or ""
        if len(code) > MAX_CHARS:
            return Drop("code_too_long", f"{len(code)} > {MAX_CHARS} characters")
        lines = [line for line in code.split("\n") if line.strip()]
        if len(lines) < self.min_lines:
            return Drop("trivial", f"{len(lines)} < {self.min_lines} lines")
        uses: Uses | None = found(await ctx.sandbox.run(inspection(package_calls, "used", code)))
        called = {api.partition(".")[0] for api in (uses["apis"] if uses else [])}
        if uses is None or not called & ({*self.packages} or called):
            return Drop("no_package_call", f"calls {sorted(called)}")
        return uses
