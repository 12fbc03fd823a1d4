"""Cells that attack their session: it ends, nothing is left, and no other run sees any of it."""

import pytest

from gristmill.engines.sandbox import Program, Sandbox
from tests.engines.sandbox.test_attacks import BENIGN, alive

OTHERS = ("a = 1", "a + 1")
EMIT = """
import gc, os
emit = next(o for o in gc.get_objects() if getattr(o, "__name__", "") == "emit" and callable(o))
"""
FRAME = """
import os
for fd in range(3, 64):
    try:
        os.write(fd, %s)
    except OSError:
        pass
"""
DAEMON = """
import os, time
if not os.fork():
    os.setsid()
    if not os.fork():
        time.sleep(60)
    os._exit(0)
"""
FLOOD = "import os\nif not os.fork():\n    while True: os.write(1, b'x' * 999)"
THREAD = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()"

CASES = [
    (FRAME % r'b"\0\0\0\x10[\"end\",2]       "', "forged", None),
    (FRAME % r'b"\xff" * 99', "timeout", "2"),
    (EMIT + "emit('\"cell\"', '1', '\"9\"', 'null', '\"\"')\n3", "forged", None),
    (EMIT + "for i in '12': emit('\"cell\"', i, '\"9\"', 'null', '\"\"')", "forged pass", None),
    (EMIT + "emit('\"end\"', '3')", "forged", None),
    (EMIT + "emit('\"plan\"', '\"asserts\"', '0', 'true', '[]')", "forged", None),
    (EMIT + "emit('\"cell\"', '1', '\"9\"', '\"e\"', '\"\"')", "forged", None),
    (EMIT + "emit('\"cell\"', '1', '9', 'null', '\"\"')", "forged", None),
    ("import os\nos.read(3, 1)", "timeout", "2"),
    ("import os\nos.closerange(0, 64)", "error", "2"),
    ("import os\nos.fork()\nos.fork()\nNone", "pass", "2"),
    ("import os\nif os.fork(): os._exit(0)", "error", "2"),
    (DAEMON, "pass", "2"),
    (FLOOD, "output_limit pass", None),
    ("raise SystemExit(0)", "error", "2"),
    ("raise KeyboardInterrupt", "error", "2"),
    ("import ctypes\nctypes.string_at(0)", "error", "2"),
    ("import os\nos.kill(os.getpid(), 19)", "timeout", "2"),
    ("import os\nos.kill(-1, 9)", "error pass", "2"),
    ("class R:\n    def __repr__(self):\n        while True: pass\nR()", "timeout", "2"),
    ("class R:\n    def __repr__(self): return 5\nR()", "error", "2"),
    ("class E(Exception):\n    def __str__(self): raise SystemExit\nraise E", "error", "2"),
    ("def f(): f()\nf()", "error", "2"),
    ("x = []\nfor _ in range(10**5): x = [x]\nx", "error", "2"),
    ("import linecache\nlinecache.cache = None\n1 / 0", "error", "2"),
    (THREAD, "pass", "2"),
    ("import atexit, time\natexit.register(time.sleep, 60)", "pass", "2"),
    ("print(open('/proc/self/environ').read().count('SECRET'))", "pass error", "2"),
    ("import sys\nsys.stdout = sys.stderr = None", "pass", "2"),
    ("import sys\nsys.stdout.close()", "pass", "2"),
    ("import sys\ndel sys.modules['__main__']", "pass", "2"),
]  # fmt: skip
"""A cell, what its record may say, and the value of the cell after it, None for any.

An answer for a later cell is a contradiction only where it came before that one was asked.
"""


def test_a_hostile_cell_spoils_its_own_session_at_most(sandbox: Sandbox) -> None:
    sessions = [
        Program("", cells=(OTHERS[0], cell, OTHERS[1]), cell_timeout_s=0.5, memory_mb=256)
        for cell, _, _ in CASES
    ]
    verdicts = sandbox.run_all([*sessions, BENIGN])
    for (cell, statuses, value), verdict in zip(CASES, verdicts, strict=False):
        found = [record["status"] for record in verdict.cells] or [verdict.status] * 3
        assert found[1] in statuses.split(), (cell, verdict)
        assert value is None or verdict.cells[2]["value"] == value, (cell, verdict)
    assert alive(sandbox) == []
    assert verdicts[-1].status == "pass"


@pytest.mark.parametrize(
    "cell",
    [
        "import builtins\nbuiltins.repr = builtins.print = lambda *_: 'lies'",
        "import builtins\nbuiltins.compile = builtins.exec = builtins.eval = None",
        "import sys\nsys.setrecursionlimit(5)",
        "import marshal, posix, _json\nposix.getpid = _json.encode_basestring_ascii = None",
    ],
)
def test_what_a_cell_replaces_is_replaced_for_its_session_alone(lone: Sandbox, cell: str) -> None:
    spoilt, fresh = lone.run_all([Program("", cells=(c, "print(1)\n7")) for c in (cell, "0")])
    assert len(spoilt.cells) == 2
    assert [record["value"] for record in fresh.cells] == ["0", "7"]
    assert fresh.cells[1]["stdout"] == "1\n"


def test_a_cell_that_returns_twice_is_answered_once(lone: Sandbox) -> None:
    fork = "import os\nseen = os.getpid()\nos.fork()\nNone"
    (verdict,) = lone.run_all([Program("", cells=(fork, "print('one')", "os.getpid() == seen"))])
    assert [record["stdout"] for record in verdict.cells] == ["", "one\n", ""]
    assert verdict.cells[2]["value"] == "True"
