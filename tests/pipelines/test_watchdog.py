"""An awaiting stage shares its loop with thousands of rows: no step of it may hold the loop up.

A step is what runs between two waits. It is measured in CPU time of the thread, the least of
three passes, so that neighbours on a busy machine count for nothing.
"""

import time
from collections.abc import Generator
from typing import Any

import pytest

from gristmill.generators.evol_instruct import EvolInstruct
from gristmill.generators.responses import Responses
from gristmill.generators.self_code_align import SelfCodeAlign

STEP_S = 0.005
PROSE = "Sort the numbers of a list, then say why that order is stable. " * 60
CODE = "def f(x):\n    return [x, (x + 1), {x: x}]\n" * 60
REPLY = f"{PROSE}\n\n```python\n{CODE}```\n" * 3


class Watched:
    """Awaits a coroutine and remembers the longest of its steps, in seconds of CPU time."""

    def __init__(self, coroutine: Any) -> None:
        self.coroutine, self.longest = coroutine, 0.0

    def __await__(self) -> Generator[Any, Any, Any]:
        while True:
            began = time.thread_time()
            try:
                waits_for = self.coroutine.send(None)
            except StopIteration as stop:
                return stop.value
            finally:
                self.longest = max(self.longest, time.thread_time() - began)
            yield waits_for


def longest(ask: Any, stage: Any, row: dict[str, Any]) -> float:
    """Return the longest step of a stage on a row with long texts and long replies."""
    steps: list[float] = []

    class Seen:
        needs = staticmethod(stage.needs)

        def __new__(cls, row: Any, ctx: Any) -> Any:
            async def run() -> Any:
                watched = Watched(stage(row, ctx))
                try:
                    return await watched
                finally:
                    steps.append(watched.longest)

            return run()

    for _ in range(3):
        ask(Seen, row, lambda *_: REPLY)
    return min(steps)


@pytest.mark.parametrize(
    ("stage", "row"),
    [
        (Responses(n=4), {"instruction": PROSE}),
        (EvolInstruct(rounds=2), {"instruction": PROSE}),
        (SelfCodeAlign(n=4, shots=0, response_shots=0), {"code": "def f(x):\n    return x\n" * 99}),
    ],
)
def test_no_step_holds_the_loop_up(ask: Any, stage: Any, row: dict[str, Any]) -> None:
    assert longest(ask, stage, row) < STEP_S


def test_a_stage_that_computes_between_two_waits_is_seen(ask: Any) -> None:
    class Slow:
        @staticmethod
        def needs() -> dict[str, str]:
            return {}

        async def __call__(self, row: Any, ctx: Any) -> Any:
            until = time.thread_time() + 2 * STEP_S
            while time.thread_time() < until:
                pass
            return row

    assert longest(ask, Slow(), {}) > STEP_S
