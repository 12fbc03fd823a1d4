"""An awaiting stage shares its loop with thousands of rows: no step of it may hold the loop up.

A step is what runs between two waits. Its CPU time is compared with that of a loop which takes
about a millisecond, measured between the steps, the least of seven passes each: a slow or busy
machine makes both slower.
"""

import time
from collections.abc import Generator
from typing import Any

import pytest

from gristmill.generators.evol_instruct import EvolInstruct
from gristmill.generators.responses import Responses
from gristmill.generators.self_code_align import SelfCodeAlign

STEP = 5.0
"""What a step may cost, in rounds of `spin`: 5 ms on the machine that this was written on."""
PROSE = "Sort the numbers of a list, then say why that order is stable. " * 60
CODE = "def f(x):\n    return [x, (x + 1), {x: x}]\n" * 60
REPLY = f"{PROSE}\n\n```python\n{CODE}```\n{PROSE}"
"""10,000 characters: more than the 2,048 tokens that a reply may have by default."""


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


def spin() -> float:
    """Return the CPU time of a loop, in seconds."""
    began = time.thread_time()
    sum(i * i for i in range(14_000))
    return time.thread_time() - began


def longest(ask: Any, stage: Any, row: dict[str, Any]) -> float:
    """Return the longest step of a stage on a row with long texts and long replies, in spins."""
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

    spins = []
    for _ in range(7):
        ask(Seen, row, lambda *_: REPLY)
        spins.append(spin())
    return min(steps) / min(spins)


@pytest.mark.parametrize(
    ("stage", "row"),
    [
        (Responses(n=4), {"instruction": PROSE}),
        (EvolInstruct(rounds=2), {"instruction": PROSE}),
        (SelfCodeAlign(n=4, shots=0, response_shots=0), {"code": "def f(x):\n    return x\n" * 99}),
    ],
)
def test_no_step_holds_the_loop_up(ask: Any, stage: Any, row: dict[str, Any]) -> None:
    assert longest(ask, stage, row) < STEP


def test_a_stage_that_computes_between_two_waits_is_seen(ask: Any) -> None:
    class Slow:
        @staticmethod
        def needs() -> dict[str, str]:
            return {}

        async def __call__(self, row: Any, ctx: Any) -> Any:
            for _ in range(2 * int(STEP)):
                spin()
            return row

    assert longest(ask, Slow(), {}) > STEP
