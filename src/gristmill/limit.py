"""Answer within a limit of processor time, so that nothing hangs and load changes no answer.

In the main thread a signal interrupts Python and its patterns, which costs microseconds. Nothing
does so in another thread: `re` lets no other run, and signals reach the main one alone. There, and
where it is asked for, a process of its own answers, which the kernel ends whatever it does. It
starts at the first such question, stays for the later ones, and ends with its owner (asleep over an
answer, when it wakes).
"""

from __future__ import annotations

import atexit
import math
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from gristmill.errors import GristmillError, InputError

SERVE = "import sys; from gristmill.limit import serve; serve(*sys.argv[1:])"
SIZE = struct.Struct("!Q")
LOOK_S = 0.5
"""How often a process that has not answered is looked at, whether it sleeps."""
AGAIN_S = 0.05
"""After the limit an answer is interrupted so often, should it go on."""


class Ended(NamedTuple):
    """There is no answer: it met the limit, or its process died of something else."""

    by_limit: bool
    why: str


class Limited:
    """A module's `answer`; threads may share it."""

    def __init__(self, module: str) -> None:
        """Take the name of a module with `prepare(asked)` and `answer(asked)`; start nothing."""
        self._module = module
        self._here: ModuleType | None = None
        self._lock = threading.Lock()
        self._process: _Process | None = None
        atexit.register(self._end)
        os.register_at_fork(after_in_child=self._forget)

    def ask(self, asked: Any, limit_s: float, *, apart: bool) -> Any | Ended:
        """Return what `answer` says, or how it ended.

        Args:
            asked: What can be pickled.
            limit_s: Seconds of processor time. The time of `prepare` is free.
            apart: Take the process in any case: it also ends what sleeps for as long, and what is
                neither Python nor a pattern. Asking it costs 0.05 to 0.3 ms.

        Raises:
            GristmillError: `prepare` or `answer` raised it, or the process failed by a fault.
            InputError: the limit is none.
        """
        if not 0 < limit_s < math.inf:
            raise InputError(f"a limit of {limit_s} s: it is above 0, and there is one")
        if not apart and _ALARM.may_ring():
            if self._here is None:
                self._here = import_module(self._module)
            self._here.prepare(asked)
            return _ALARM.interrupted(self._here.answer, asked, limit_s)
        frame = pickle.dumps((limit_s, asked))
        with self._lock:
            answer = self._exchange(frame, limit_s)
            if isinstance(answer, Ended) and not answer.by_limit:
                answer = self._exchange(frame, limit_s)  # whoever ended it may have meant another
        if isinstance(answer, GristmillError):
            raise answer
        return answer

    def _exchange(self, frame: bytes, limit_s: float) -> Any | Ended:
        process = self._process = self._process or _Process(self._module)
        reply, sleeps = b"", False
        try:
            reply, sleeps = process.exchange(frame, limit_s)
        finally:
            if not reply:  # gone; or this thread was interrupted, and a reply is still to come
                self._end()
        if reply:
            return pickle.loads(reply)
        if process.code is not None and process.code > 0:
            raise GristmillError(f"{self._module} failed; the traceback is in the log")
        if sleeps:
            return Ended(True, f"stopped after {limit_s:g} s of sleep")
        if process.code == -signal.SIGPROF:
            return _met(limit_s)
        return Ended(False, f"its process was ended, twice: {process.code}")

    def _end(self) -> None:
        if self._process:
            self._process.end()
            self._process = None

    def _forget(self) -> None:
        """Begin anew after a fork: the process belongs to the parent."""
        self._lock = threading.Lock()
        if self._process:
            self._process.leave()
            self._process = None


class _Over(BaseException):
    """The time is up; no `except` of an answer may take it for an error of its own."""


def _met(limit_s: float) -> Ended:
    return Ended(True, f"stopped after {limit_s:g} s of processor time")


class _Alarm:
    """Interrupts an answer in the main thread.

    Its handler stays: another thread may hold a signal back until the answer is there, and one
    without a handler ends the program.
    """

    def __init__(self) -> None:
        self._end_s = math.inf

    def may_ring(self) -> bool:
        """Say whether a signal reaches this thread and is ours; nobody's is made ours."""
        if threading.current_thread() is not threading.main_thread():
            return False
        handler = signal.getsignal(signal.SIGVTALRM)
        if handler == self._ring:
            return True
        if is_free := handler == signal.SIG_DFL:
            signal.signal(signal.SIGVTALRM, self._ring)
        return is_free

    def interrupted(self, answer: Callable[[Any], Any], asked: Any, limit_s: float) -> Any | Ended:
        """Return the answer, or that its time was over."""
        try:
            try:
                self._end_s = time.thread_time() + limit_s
                signal.setitimer(signal.ITIMER_VIRTUAL, limit_s, AGAIN_S)
                return answer(asked)
            finally:
                self._rest()
        except _Over:
            return _met(limit_s)
        finally:
            self._rest()  # it may have rung before the first did

    def _rest(self) -> None:
        self._end_s = math.inf
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    def _ring(self, *_: object) -> None:
        """Raise within an answer, and nowhere else; again, should it go on."""
        now_s = time.thread_time()  # the timer counts other threads, too
        if now_s >= self._end_s:
            self._end_s = now_s + AGAIN_S
            raise _Over


_ALARM = _Alarm()


class _Process:
    """One process and the line to it."""

    code: int | None = None

    def __init__(self, module: str) -> None:
        self._line, theirs = socket.socketpair()
        look = struct.pack("ll", 0, int(LOOK_S * 1e6))
        self._line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, look)
        where = os.pathsep.join(path or str(Path.cwd()) for path in sys.path)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", SERVE, module, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": where},
            )

    def exchange(self, frame: bytes, limit_s: float) -> tuple[bytes, bool]:
        """Return the reply, empty where there is none, and whether it slept for too long."""
        slept_s = 0.0

        def is_over() -> bool:
            nonlocal slept_s
            slept_s += LOOK_S * self._sleeps()
            return slept_s >= limit_s

        try:
            _send(self._line, frame)
            reply = _received(self._line, is_over)
        except ConnectionError:
            return b"", False
        if sleeps := slept_s >= limit_s:
            self._process.kill()
        return reply, sleeps

    def _sleeps(self) -> bool:
        """Say whether it neither computes nor waits for a processor, as Linux tells it."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text("utf-8")
        except OSError:
            return False
        return stat.rpartition(") ")[2][:1] == "S"

    def end(self) -> None:
        """Close the line, which ends a process that waits, and end any other."""
        self.leave()
        try:
            self.code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.code = self._process.wait()

    def leave(self) -> None:
        """Close the line."""
        self._line.close()


def serve(module: str, line: str) -> None:
    """Answer until the line is closed: the other side, in the process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answering, owner = import_module(module), socket.socket(fileno=int(line))
    while frame := _received(owner, lambda: False):
        limit_s, asked = pickle.loads(frame)
        try:
            answering.prepare(asked)
            signal.setitimer(signal.ITIMER_PROF, limit_s)  # at its end the kernel ends the process
            answer = answering.answer(asked)
        except GristmillError as error:
            answer = error
        signal.setitimer(signal.ITIMER_PROF, 0)
        _send(owner, pickle.dumps(answer))
    os._exit(0)


def _send(line: socket.socket, frame: bytes) -> None:
    line.sendall(SIZE.pack(len(frame)) + frame)


def _received(line: socket.socket, is_over: Callable[[], bool]) -> bytes:
    """Return a whole frame; nothing where the line is closed, or it is over."""
    got = bytearray()
    while len(got) < SIZE.size or len(got) < SIZE.size + SIZE.unpack_from(got)[0]:
        try:
            more = line.recv(1 << 22)
        except BlockingIOError:
            if is_over():
                return b""
            continue
        if not more:
            return b""
        got += more
    return bytes(memoryview(got)[SIZE.size :])
