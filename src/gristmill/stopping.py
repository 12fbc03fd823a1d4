"""SIGTERM ends a command as Ctrl-C does: once, and where a run's event loop can hear it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

KINDS = signal.SIGINT, signal.SIGTERM


def listen() -> Callable[[], bool]:
    """Take the first SIGTERM for Ctrl-C, also in the background; return whether one has come.

    Only the first: `timeout` sends two, and the second would break off what ends the run.

    Raises:
        ValueError: This is not the main thread, the only one that hears signals.
    """
    heard = False

    def end(*_: object) -> None:
        nonlocal heard
        if not heard:
            heard = True
            signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, end)
    return lambda: heard


@contextmanager
def listening() -> Iterator[None]:
    """Do so inside, then hand a SIGTERM that came to whoever listened before.

    Prefect answers it by an exception wherever the main thread is: out of an event loop's callback
    that goes nowhere, and the run went on.
    """
    before = [signal.getsignal(kind) for kind in KINDS]
    try:
        has_come = listen()
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        for kind, handler in zip(KINDS, before, strict=True):
            signal.signal(kind, handler)
        if has_come():
            signal.raise_signal(signal.SIGTERM)
