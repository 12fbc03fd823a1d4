"""What a run writes, drained while it writes, and cut off at a cap: no pipe can block or flood."""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Mapping

CAPS = {"stdout": 64 << 10, "stderr": 64 << 10, "frames": 1 << 20}
"""Bytes that a run may send; one more and it is killed."""
DRAIN_S = 0.1
"""How long to wait for the end of a stream whose writer should be gone."""


class Streams:
    """The descriptors of one run, and what came out of them."""

    def __init__(
        self,
        fds: Mapping[str, int],
        exited: int,
        output: Mapping[str, bytearray],
        caps: Mapping[str, int] = CAPS,
    ) -> None:
        self.output, self.caps = output, caps
        self.overflow = False
        self.selector = selectors.DefaultSelector()
        self.exited = exited
        self.selector.register(exited, selectors.EVENT_READ)
        for name, fd in fds.items():
            os.set_blocking(fd, False)
            self.selector.register(fd, selectors.EVENT_READ, name)

    def drain(self, wait_s: float) -> bool:
        """Read what is there; say whether the process has ended."""
        has_ended = False
        for key, _ in self.selector.select(wait_s):
            if key.fd == self.exited:
                has_ended = True
            elif not self.overflow:
                self._read(key.fd, key.data)
        return has_ended

    def drain_rest(self) -> None:
        """Read until every stream has ended, or a moment later: somebody may hold one open."""
        self.selector.unregister(self.exited)
        deadline = time.monotonic() + DRAIN_S
        while self.selector.get_map() and not self.overflow:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self.drain(left)

    def drain_now(self) -> None:
        """Read all that has been written so far, up to the caps."""
        while not self.overflow and self._waiting():
            self.drain(0)

    def _waiting(self) -> bool:
        return any(key.fd != self.exited for key, _ in self.selector.select(0))

    def _read(self, fd: int, name: str) -> None:
        try:
            part = os.read(fd, 1 << 16)
        except BlockingIOError:
            return
        except ConnectionResetError:
            part = b""
        if not part:
            self.selector.unregister(fd)
        kept = self.output[name]
        kept += part
        if len(kept) > self.caps[name]:
            del kept[self.caps[name] :]
            self.overflow = True

    def close(self) -> None:
        """Stop watching."""
        self.selector.close()
