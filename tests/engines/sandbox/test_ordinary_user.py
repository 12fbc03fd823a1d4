"""The sandbox of somebody who is not root: the same verdicts, and the degraded back end."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gristmill.engines.sandbox import Program, Sandbox
from gristmill.errors import RequirementError
from tests.engines.sandbox.conftest import BACKENDS
from tests.engines.sandbox.test_attacks import ATTACKS, EVERY, QUICK

ROOT = Path(__file__).parents[3]
BASE = Path(sys.base_prefix).resolve()
# An interpreter below a closed home is shown at its own path, in a mount namespace of the test.
OPEN_HOME = f"""
mount --bind {BASE} /mnt && mount -t tmpfs -o mode=755 none /root && mkdir -p {BASE} &&
mount --bind /mnt {BASE} && umount /mnt &&
"""
LIMIT_S = 3600 if EVERY else 300
NOBODY = 'exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"'
DEGRADED = """
import os
from gristmill.engines.sandbox import Program, Sandbox
from tests.engines.sandbox.test_attacks import ATTACKS, EVERY, QUICK
CHECK = "assert f(3) == 9"
TRIES = '''
import os, signal, socket
def attempt(action, *args):
    try:
        action(*args)
    except OSError as error:
        return type(error).__name__
    return "worked"
def f(x):
    return [attempt(os.chmod, "/tmp", 0o700), attempt(os.listdir, "/home"),
            attempt(open, "/etc/passwd"), attempt(socket.socket, socket.AF_UNIX),
            attempt(os.kill, os.getppid(), 0), attempt(open, "here", "w")]
'''
DENIED = ["PermissionError"] * 5 + ["worked"]
DAEMON = "import os, time\\nif not os.fork():\\n    os.setsid()\\n    time.sleep(600)\\n"
sandbox = Sandbox(1, backend="degraded")
try:
    verdicts = sandbox.run_all([
        Program("def f(x): return x * x", CHECK),
        Program("def f(x): return x", CHECK),
        Program("def f(x): return x\\nwhile True: pass", CHECK, timeout_s=0.5),
        Program(TRIES, f"assert f(3) == {DENIED!r}"),
        Program(DAEMON + "def f(x): return x * x", CHECK),
    ])
    wrong = set()
    for attack in ATTACKS if EVERY else QUICK:
        for mode in attack.modes("degraded"):
            (verdict,) = sandbox.run_all([attack.program(mode, attack.limit_s)])
            if verdict.status not in attack.expect:
                wrong.add((attack.number, verdict.status))
finally:
    sandbox.close()
print(sandbox.identity, [v.status for v in verdicts], {v.profile.split(":")[0] for v in verdicts})
print([v.detail for v in verdicts if v.detail])
print(sorted(wrong))
"""
WITHOUT_A_VIEW = (24, 43, 46, 50, 54, 56, 65, 78, 82, *([83] if EVERY else []))
"""Attacks that end with an error on the degraded back end: no /tmp, /box and /proc is theirs."""


def as_nobody(*command: str) -> subprocess.CompletedProcess[str]:
    closed = BASE.is_relative_to("/root")
    argv = ["unshare", "-m", "sh", "-c", (OPEN_HOME if closed else "") + NOBODY, "sh", *command]
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "GRISTMILL_REQUIRE_SANDBOX": "1",
        "GRISTMILL_EVERY_ATTACK": str(int(EVERY)),
    }
    return subprocess.run(
        argv, capture_output=True, text=True, env=env, cwd=ROOT, timeout=LIMIT_S - 20
    )


@pytest.fixture(scope="module", autouse=True)
def _can_be_nobody() -> None:
    if os.getuid() != 0 or not shutil.which("setpriv") or not shutil.which("unshare"):
        pytest.skip("only root, with setpriv and unshare, can become somebody else")
    done = as_nobody(sys.executable, "-c", "import gristmill.engines.sandbox")
    if done.returncode:
        pytest.skip(f"nobody cannot read this checkout: {done.stderr[-200:]}")


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S)
def test_verdicts_and_quick_attacks_are_the_same_for_an_ordinary_user() -> None:
    wanted = "quick_attacks or hostile_cell or honest_programs or deserves or other_values"
    wanted += " or random or traced"
    # Without a control group the address space is the limit: MemoryError, an error and no oom.
    wanted = f"({wanted}) and not oom"
    done = as_nobody(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", wanted,
        "tests/engines/sandbox/test_attacks.py", "tests/engines/sandbox/test_benign.py",
        "tests/engines/sandbox/test_hostile_cells.py", "tests/engines/sandbox/test_verdicts.py",
        "tests/engines/sandbox/test_zygote.py",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_attack_gets_what_it_deserves_from_an_ordinary_user(backend: str) -> None:
    """And every twin passes.

    The quick ones run on bubblewrap above, all together: it keeps nothing from run to run.
    """
    is_here = EVERY or backend == "zygote"
    attacks = [attack for attack in ATTACKS if is_here or attack not in QUICK]
    path = "tests/engines/sandbox/test_attacks.py::test"
    test = f"{path}_an_attack_gets_what_it_deserves_in_time_and_leaves_nothing"
    wanted = [
        f"{test}[{backend}-{a.name}-{mode}]"
        for a in attacks
        for mode in a.modes(backend, is_root=False)
    ]
    wanted.append(f"{path}_the_honest_twin_of_every_attack_passes[{backend}]")
    done = as_nobody(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "slow", *wanted
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert f"{len(wanted)} passed" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S)
def test_the_degraded_back_end_says_so_and_holds_what_it_can() -> None:
    done = as_nobody(sys.executable, "-c", DEGRADED)
    assert done.returncode == 0, done.stderr[-2000:]
    told, details, wrong = done.stdout.splitlines()
    assert ":degraded:" in told
    assert "['pass', 'fail', 'timeout', 'pass', 'pass'] {'degraded'}" in told, details
    assert wrong == str([(number, "error") for number in WITHOUT_A_VIEW])


def test_root_is_refused_the_degraded_back_end() -> None:
    with pytest.raises(RequirementError, match="never runs as root"):
        Sandbox(1, backend="degraded").run_all([Program("", "")])
