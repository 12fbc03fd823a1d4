"""Programs of optimization problems: what their solver says decides, whether they look or not."""

from __future__ import annotations

from gristmill.engines.sandbox.numbers import named
from gristmill.engines.sandbox.program import Program, Verdict

CHECKED = """import scipy.optimize as _solvers
def _checked(solver):
    def run(*given, **options):
        found = solver(*given, **options)
        if not found.success:
            raise ValueError(found.message)
        return found
    return run
for _name in ("linprog", "milp", "minimize", "minimize_scalar", "differential_evolution"):
    setattr(_solvers, _name, _checked(getattr(_solvers, _name)))
"""
CALL = "{str(_key): float(_found) for _key, _found in solve().items()}"


def solving(code: str, attempt: int, timeout_s: float, profile: str) -> Program:
    """Return the program that is asked for the results of the code's `solve`."""
    return Program(
        CHECKED + code, calls=(CALL,), attempt=attempt, timeout_s=timeout_s, profile=profile
    )


def solved(verdict: Verdict) -> dict[str, float] | None:
    """Return the `objective` and at least one variable; None for anything else or infinite."""
    found = named(verdict.values[0]) if verdict.values else None
    return found if found and "objective" in found and len(found) > 1 else None
