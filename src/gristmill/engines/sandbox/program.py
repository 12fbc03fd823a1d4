"""What goes into the sandbox and what comes out: no process is started here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from gristmill.engines.requests import Answer, Op
from gristmill.storage.ids import digest

Status = Literal[
    "pass",
    "fail",
    "error",
    "timeout",
    "oom",
    "output_limit",
    "forged",
    "weak_tests",
    "missing_dependency",
    "infra_error",
]


@dataclass(frozen=True, slots=True)
class Verdict(Answer):
    """What can be believed about one run. Only `pass` is a pass; exit code 0 never is."""

    status: Status
    detail: str = ""
    checks_total: int = 0
    checks_passed: int = 0
    stdout: str = ""
    stderr: str = ""
    wall_ms: int = 0
    verified_by: str = ""
    """`values`: compared outside the program's process; `asserts`: inside, with a canary."""
    profile: str = ""
    """Which isolation held, and the interpreter."""

    @property
    def durable(self) -> bool:
        """Trouble of the machine is never kept, nor is a time-out that contention may have made."""
        return self.status != "infra_error"


@dataclass(frozen=True, slots=True)
class Program:
    """Code and the tests that judge it; both are text and are parsed only inside the sandbox."""

    op: ClassVar[Op] = "run"
    answer: ClassVar[type[Answer]] = Verdict

    code: str
    tests: str = ""
    stdin: str = ""
    timeout_s: float = 10.0
    memory_mb: int = 1024
    attempt: int = 0
    """Numbers the repeats of one program: a re-run for flakiness is a real re-run."""

    def key(self, identity: str) -> str:
        """Return the name of the verdict."""
        limits = [self.timeout_s, self.memory_mb, self.attempt]
        return digest(identity, "run", self.code, self.tests, self.stdin, limits)
