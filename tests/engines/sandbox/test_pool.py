"""Slots are given out, given back, and freed when nobody waits for a verdict any more."""

import asyncio
from dataclasses import replace

import pytest

from gristmill.engines.sandbox import Program, Sandbox
from tests.engines.sandbox.test_attacks import alive

SQUARE = Program("def f(x):\n    return x * x", "assert f(3) == 9")
ENDLESS = replace(SQUARE, code="while True: pass", timeout_s=3600)


@pytest.fixture
def backend(sandbox: Sandbox) -> str:
    return sandbox.backend


def test_a_sandbox_gives_everything_back_when_it_is_left(backend) -> None:
    with Sandbox(1, backend=backend) as held:
        assert [verdict.status for verdict in held.run_all([SQUARE])] == ["pass"]
        state = held._state
        assert state
        folders = [folder for group in state.groups if group for folder in group.folders]
        assert all(folder.is_dir() for folder in folders)
    assert held._state is None
    assert [folder for folder in folders if folder.exists()] == []


def test_it_is_left_with_its_error(backend) -> None:
    with pytest.raises(ZeroDivisionError), Sandbox(1, backend=backend) as held:
        raise ZeroDivisionError
    assert held._state is None


def test_it_is_held_by_a_loop_too(backend) -> None:
    async def go() -> str:
        async with Sandbox(1, backend=backend) as held:
            assert held._state
            status = (await held.run(SQUARE)).status
        assert held._state is None
        return status

    assert asyncio.run(go()) == "pass"


async def given_up(sandbox: Sandbox, program: Program) -> None:
    """Start a program, and stop waiting for it while it runs."""
    waiting = asyncio.create_task(sandbox.run(program))
    while not (sandbox._state and sandbox._state.gate.inside):  # noqa: ASYNC110 - nothing says so
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_nobody_waits_for_the_slot_of_a_program_that_was_given_up(lone: Sandbox) -> None:
    async def go() -> str:
        await given_up(lone, ENDLESS)
        return (await lone.run(SQUARE)).status

    assert asyncio.run(go()) == "pass"
    assert alive(lone) == []


def test_a_program_given_up_before_its_turn_never_runs(lone: Sandbox) -> None:
    async def go() -> None:
        first = asyncio.create_task(lone.run(ENDLESS))
        second = asyncio.create_task(lone.run(ENDLESS))
        await asyncio.sleep(0.1)
        second.cancel()
        first.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        assert (await lone.run(SQUARE)).status == "pass"

    asyncio.run(go())
