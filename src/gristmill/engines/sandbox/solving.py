"""Programs of optimization problems: what their solver says decides, whether they look or not.

A program that asks no solver has found nothing: its numbers are a guess.
"""

from __future__ import annotations

from gristmill.engines.sandbox.numbers import named
from gristmill.engines.sandbox.program import Program, Verdict
from gristmill.engines.sandbox.values import is_true

CHECKED = """import scipy.optimize as _solvers
_solutions = []
def _checked(solver):
    def run(*given, **options):
        found = solver(*given, **options)
        if not found.success:
            raise ValueError(found.message)
        _solutions.append(found)
        return found
    return run
for _name in ("linprog", "milp", "minimize", "minimize_scalar", "differential_evolution"):
    setattr(_solvers, _name, _checked(getattr(_solvers, _name)))
"""
CALLS = "{str(_key): float(_found) for _key, _found in solve().items()}", "bool(_solutions)"


def solving(code: str, attempt: int, timeout_s: float, profile: str) -> Program:
    """Return the program that is asked for the results of the code's `solve`."""
    return Program(
        CHECKED + code, calls=CALLS, attempt=attempt, timeout_s=timeout_s, profile=profile
    )


def solved(verdict: Verdict) -> dict[str, float] | None:
    """Return the `objective` and at least one variable; None for anything else or infinite.

    None too where no solver had found a solution.
    """
    results, is_solved = [*verdict.values, None, None][:2]
    found = named(results) if is_solved and is_true(is_solved) else None
    return found if found and "objective" in found and len(found) > 1 else None
