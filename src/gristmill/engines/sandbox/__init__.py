"""The sandbox: programs nobody trusts, run apart from everything, and verdicts they cannot forge."""

from gristmill.engines.sandbox.program import Program, Verdict

__all__ = ["Program", "Verdict"]
