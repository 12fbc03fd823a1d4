"""The attack list would notice a worse harness: three that others use, caught by one entry each."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from gristmill.engines.sandbox import Sandbox
from tests.engines.sandbox.test_attacks import FOLDER, Attack


def by_exit_code(code: str, tests: str) -> str:
    """Believe exit code 0."""
    done = subprocess.run([sys.executable, "-c", f"{code}\n{tests}"], capture_output=True)
    return "pass" if done.returncode == 0 else "fail"


def by_own_comparison(code: str, tests: str) -> str:
    """Believe a line that is printed after the asserts."""
    text = f"{code}\n{tests}\nprint('all held')"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    return "pass" if done.stdout.endswith("all held\n") else "fail"


def without_draining(code: str, tests: str) -> str:
    """Read the output when the program has ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"{code}\n{tests}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        return "fail" if process.wait(0.5) else "pass"
    except subprocess.TimeoutExpired:
        return "timeout"
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("harness", "attack"),
    [
        (by_exit_code, "17_os_exit"),
        (by_exit_code, "16_leaves_before_the_tests"),
        (by_own_comparison, "20_always_equal"),
        (by_own_comparison, "21_patched_abs"),
        (without_draining, "11_endless_stdout"),
    ],
)
def test_a_worse_harness_is_caught(
    sandbox: Sandbox, harness: Callable[[str, str], str], attack: str
) -> None:
    loaded = Attack.load(FOLDER / f"{attack}.txt")
    assert harness(loaded.code, next(iter(loaded.tests.values()))) not in loaded.expect
