"""What a type checker says about Python code.

The source of this file is sent into the sandbox, so it imports nothing else of ours; mypy is there
if the profile has it.
"""

from __future__ import annotations

MOST = 20
"""Errors that are told."""
FLAGS = (
    "--config-file=", "--no-incremental", "--cache-dir=/dev/null", "--ignore-missing-imports",
    "--no-site-packages", "--no-error-summary", "--hide-error-context",
    "--check-untyped-defs", "--allow-redefinition", "--disable-error-code=var-annotated",
)  # fmt: skip
"""What has no annotation may change its type, and need not get one: of 799 reference solutions of
MBPP and HumanEval 32 were rejected without the last two, 10 with them."""


def type_errors(code: str) -> list[str]:
    """Return errors, each as `line: what`; packages without types may be used in any way."""
    from mypy import api

    told, wrong, _ = api.run([*FLAGS, "-c", code])
    if wrong:
        raise RuntimeError(wrong)
    lines = (line.removeprefix("<string>:") for line in told.splitlines())
    return [line.replace(" error:", "", 1) for line in lines if " error: " in line][:MOST]
