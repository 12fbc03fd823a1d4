"""SIGTERM: once, as Ctrl-C, and heard inside of a flow that has a handler of its own."""

import asyncio
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from gristmill.stopping import KINDS, listen, listening


class OfTheFlow(BaseException):
    """What Prefect's handler raises, wherever the main thread is."""


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    before = [signal.getsignal(kind) for kind in KINDS]
    yield
    for kind, handler in zip(KINDS, before, strict=True):
        signal.signal(kind, handler)


async def work(ended: list[str]) -> None:
    """Gets SIGTERM from a callback, and another one while it ends."""
    asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)
    try:
        await asyncio.sleep(5)
        ended.append("late")
    finally:
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0)
        ended.append("clean")


def test_a_second_sigterm_breaks_nothing_off_that_ends() -> None:
    ended: list[str] = []
    listen()
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(work(ended))
    signal.raise_signal(signal.SIGTERM)
    assert ended == ["clean"]


def test_a_flow_hears_sigterm_when_its_run_has_ended() -> None:
    def of_the_flow(*_: Any) -> None:
        raise OfTheFlow

    ended: list[str] = []
    signal.signal(signal.SIGTERM, of_the_flow)
    with pytest.raises(OfTheFlow), listening():
        asyncio.run(work(ended))
    assert ended == ["clean"]
    assert signal.getsignal(signal.SIGTERM) is of_the_flow


def test_where_none_came_nothing_has_changed() -> None:
    before = [signal.getsignal(kind) for kind in KINDS]
    with listening():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(kind) for kind in KINDS] == before
