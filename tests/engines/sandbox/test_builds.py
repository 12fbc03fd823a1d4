"""What was compiled is kept: once per program and limits, the latest, up to a size."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from gristmill.engines.sandbox import Program
from gristmill.engines.sandbox.builds import Builds

FIRST = Program("int main() {}", stdin="1", stdout="2", profile="cpp")


def made(builds: Builds, program: Program, digits: str = "abcd") -> bool:
    """Say whether a build was made for this call."""
    asked: list[int] = []
    found = builds.find(program, lambda: asked.append(1) or digits)
    assert found == digits
    return bool(asked)


def test_inputs_and_outputs_share_a_build_and_nothing_else_does() -> None:
    builds = Builds()
    assert made(builds, FIRST)
    assert not made(builds, replace(FIRST, stdin="3", stdout="4", tolerance=0.5))
    assert made(builds, replace(FIRST, code="int main() { }"))
    assert made(builds, replace(FIRST, timeout_s=1.0))
    assert made(builds, replace(FIRST, memory_mb=64))
    assert made(builds, replace(FIRST, attempt=1))


def test_what_was_not_built_is_tried_again() -> None:
    builds = Builds()
    assert made(builds, FIRST, "")
    assert made(builds, FIRST)
    assert not made(builds, FIRST)


def test_the_oldest_builds_are_forgotten() -> None:
    builds = Builds(most_chars=9)
    second, third, large = (replace(FIRST, code=code) for code in "bcd")
    assert made(builds, FIRST)
    assert made(builds, second)
    assert not made(builds, FIRST)
    assert made(builds, third)
    assert not made(builds, FIRST)
    assert made(builds, second)
    assert made(builds, large, "more than nine")
    assert builds.kept == {}


def test_two_that_want_the_same_wait_for_one_build() -> None:
    builds, begun, go_on = Builds(), threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert go_on.wait(60)
        return "abcd"

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(builds.find, FIRST, slow)
        assert begun.wait(60)
        second = threads.submit(made, builds, FIRST)
        assert made(builds, replace(FIRST, code="another is not held up"))
        go_on.set()
        assert first.result() == "abcd"
        assert not second.result()
