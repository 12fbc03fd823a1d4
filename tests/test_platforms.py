"""docs/platforms.md: rows are curated where there is nothing of Linux alone."""

import json
import os
import subprocess
import sys

import pytest

ELSEWHERE = """
import os, resource, select, signal, socket, sys

GONE = {
    os: "sched_getaffinity sched_setaffinity pidfd_open memfd_create O_PATH O_TMPFILE eventfd "
    "getrandom copy_file_range splice prctl",
    signal: "SIGRTMIN SIGRTMAX SIGPWR SIGSTKFLT pidfd_send_signal",
    select: "epoll",
    resource: "prlimit RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_RTPRIO RLIMIT_SIGPENDING",
    socket: "SO_PEERCRED SOCK_CLOEXEC SOCK_NONBLOCK MSG_CMSG_CLOEXEC AF_VSOCK",
}
for module, names in GONE.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)


def look(event, args):
    if event == "open" and str(args[0]).startswith(("/proc/", "/sys/", "/dev/nv")):
        frame, ours = sys._getframe(1), False
        for _ in range(5):
            ours, frame = ours or "/gristmill/" in frame.f_code.co_filename, frame.f_back or frame
        if ours:
            raise FileNotFoundError(2, "not on this platform", args[0])


sys.addaudithook(look)
from gristmill.cli import main
for recipe in ("clean", "asked.yaml"):
    code = main(["run", recipe, "--input", "rows.jsonl", "--local", "--no-prefect", "--json"])
    if code:
        sys.exit(code)
"""


ASKED = """
name: asked
engines: {generator: {use: scripted}}
stages: [{use: generators.responses, n: 3}]
"""


@pytest.mark.slow
def test_rows_are_curated_without_what_only_linux_has(tmp_path) -> None:
    rows = [{"instruction": "Name a prime number.", "output": "Eleven."}] * 2
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "asked.yaml").write_text(ASKED)
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["kept"] for line in done.stdout.splitlines()] == [1, 6]
