"""ReSocratic, second step: every problem that the first constraints make is programmed and solved.

Source: Yang et al., "OptiBench Meets ReSocratic: Measure and Improve LLMs for Optimization
Modeling", arXiv:2407.09887, section 4; `yangzhch6/ReSocratic` (Apache-2.0) for the rules.
`re_socratic_questions` comes next.
Differs from the paper: our own prompt; a program is a function over SciPy's solvers in the place of
SCIP; what a solver does not call a success fails, and so does a program that asks no solver, or
one that runs too long, which the released runner keeps.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Protocol, TypedDict

from pydantic import Field

from gristmill.engines.requests import Gen, Message, Op, Sampling
from gristmill.engines.sandbox.profiles import PythonProfile
from gristmill.engines.sandbox.solving import solved, solving
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, complete
from gristmill.pipelines.stage import Drop, RowStage
from gristmill.text.demonstrations import MOST_APART, joined, same_results, sections
from gristmill.text.fences import fenced, python_code

PROGRAM = """Write a Python function `solve` for an optimization problem, with a solver of \
`scipy.optimize`: `linprog` where all is linear, `milp` where some values must be whole, else \
`minimize`. Where the solver reports no success, raise ValueError with its message. Else return a \
dict of floats: `objective`, the best value of what is to be as large or as small as possible, \
with its own sign, and every variable by its name. `solve` takes nothing and prints nothing. Reply \
with one Python block.

### Problem
{problem}

### Python"""


class Solved(TypedDict):
    """What it writes. `names` and `values` are the results; `tests` hold for the program."""

    instruction: str
    output: str
    tests: str
    demonstration: str
    n_constraints: int
    objective: float
    names: list[str]
    values: list[float]
    gen: Gen


class ReSocraticSolve(RowStage):
    """Make a row of the problem with one constraint, one of it with two, and so on."""

    version: ClassVar[int] = 2
    codes: ClassVar[frozenset[str]] = REPLY_CODES | frozenset(
        {"no_constraint", "no_code", "missing_package", "not_solved", "unsteady"}
    )

    of: str = Field(default="re_socratic", pattern=r"^\w+$")
    """Label of the stage that wrote the demonstration."""
    timeout_s: float = Field(default=10.0, gt=0, le=600)
    """Wall-clock limit of one run, in seconds."""
    profile: PythonProfile = "solver"
    """What programs can import; see `verifiers.unit_tests`."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=2000)

    def reads(self) -> frozenset[str]:
        """The column depends on `of`."""
        return frozenset({f"meta.{self.of}.demonstration"})

    def needs(self) -> dict[str, Op]:
        """One model programs, the sandbox solves."""
        return {"generator": "generate", "sandbox": "run"}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> list[Solved | Drop] | Drop:
        """Ask once per problem."""
        parts = sections(row[f"meta.{self.of}.demonstration"] or "")
        if len(parts) < 3:
            return Drop("no_constraint", joined(parts))

        async def row_of(n: int) -> Solved | Drop:
            problem = joined(parts[:n])
            found = await solve(problem, self, ctx.branch(n))
            if isinstance(found, Drop):
                return found
            code, results, gen = found
            near = MOST_APART * max(1.0, abs(results["objective"]))
            return {
                "instruction": "\n".join(part.text for part in parts[:n]),
                "output": fenced(code),
                "tests": f"assert abs(solve()['objective'] - {results['objective']!r}) <= {near!r}",
                "demonstration": problem,
                "n_constraints": n - 2,
                "objective": results["objective"],
                "names": sorted(results),
                "values": [results[name] for name in sorted(results)],
                "gen": gen,
            }

        return await asyncio.gather(*map(row_of, range(3, len(parts) + 1)))


class Limits(Protocol):
    """What a stage says of its programs."""

    timeout_s: float
    profile: str
    sampling: Sampling


async def solve(
    problem: str, limits: Limits, ctx: Context
) -> tuple[str, dict[str, float], Gen] | Drop:
    """Return a program for a problem, its results of two runs, and the reply's `gen`."""
    ask: list[Message] = [{"role": "user", "content": PROGRAM.format(problem=problem)}]
    reply = await complete(ctx.llm("generator"), ask, limits.sampling)
    if isinstance(reply, Drop):
        return reply
    if (code := python_code(reply.text)) is None:
        return Drop("no_code", reply.text)
    runs = [solving(code, i, limits.timeout_s, limits.profile) for i in range(2)]
    verdicts = await asyncio.gather(*map(ctx.sandbox.run, runs))
    first, second = map(solved, verdicts)
    if first is None or second is None:
        lacks = verdicts[0].status == "missing_dependency"
        why = "missing_package" if lacks else "not_solved"
        return Drop(why, f"{verdicts[0].status}: {verdicts[0].detail or code}")
    if not same_results(first, second):
        return Drop("unsteady", f"{first}, then {second}")
    return code, first, reply.gen
