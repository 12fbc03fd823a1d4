"""Cells of one run: each is given the word, a time limit of its own, and what it printed.

The program holds the same socket. It may say that a cell is over when it is not, which gains it
nothing: the limit of the whole run stays, and a cell that answers before it was asked shows.
"""

from __future__ import annotations

import socket
import time
from contextlib import suppress

from gristmill.engines.sandbox.frames import ends
from gristmill.engines.sandbox.streams import Streams

ROOM = 64 << 10
"""Bytes that one cell may send on each stream: stdout, stderr, its result."""
BEFORE = 3
"""Frames before the first cell's: two of the parser, and the word that the session is ready."""
Mark = dict[str, int]
"""How many bytes of each stream had come when a cell ended."""


class Turns:
    """Whose turn it is; `marks` grows by one as each cell ends."""

    def __init__(
        self, cells: int, limit_s: float, channel: socket.socket, marks: list[Mark]
    ) -> None:
        self.cells, self.limit_s, self.channel, self.marks = cells, limit_s, channel, marks
        self.frames = self.at = self.asked = 0
        self.deadline = float("inf")

    def are_over(self, streams: Streams) -> bool:
        """Take note of a cell that has ended, then give the word to the next.

        True after the last one, and when cells answered that were not asked; never without cells.
        """
        new = ends(streams.output["frames"], self.at) if self.cells else []
        self.frames, self.at = self.frames + len(new), max([self.at, *new])
        answered = self.frames - BEFORE
        if not new or answered < 0:
            return False
        streams.drain_now()  # what it printed was written before the frame
        if streams.overflow:
            return False
        sizes = {name: len(kept) for name, kept in streams.output.items()}
        if self.asked:
            self.marks.append(sizes)
        if answered > self.asked or answered == self.cells:
            return True
        streams.caps = {name: size + ROOM for name, size in sizes.items()}
        self._give()
        return False

    def _give(self) -> None:
        self.asked += 1
        self.deadline = time.monotonic() + self.limit_s
        with suppress(OSError):  # it has gone: its end will tell
            self.channel.send(b"x", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
