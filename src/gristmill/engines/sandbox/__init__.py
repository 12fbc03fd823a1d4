"""The sandbox: programs nobody trusts, run apart, and verdicts that they cannot forge."""

from gristmill.engines.sandbox.pool import Sandbox
from gristmill.engines.sandbox.program import Program, Verdict

__all__ = ["Program", "Sandbox", "Verdict"]
