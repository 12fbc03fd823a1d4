"""What the sandbox promises about the machine: it fails closed, and nothing outlives it."""

import asyncio
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.engines.base import Engine
from gristmill.engines.client import Client
from gristmill.engines.sandbox import Program, Sandbox, backends, pool, process
from gristmill.engines.sandbox.backends import Slot, failures, refusal
from gristmill.engines.sandbox.cgroups import measure
from gristmill.engines.sandbox.judge import judge
from gristmill.engines.sandbox.probe import Probe
from gristmill.engines.sandbox.seccomp import build_filter
from gristmill.errors import EngineError, RequirementError
from gristmill.storage.answers import Answers
from tests.engines.sandbox.conftest import BACKENDS
from tests.engines.sandbox.test_attacks import FOLDER, Attack, descendants

SQUARE = Program("def f(x):\n    return x * x", "assert f(3) == 9")
NO_BWRAP = """
import os
os.environ["PATH"] = "/nowhere"
from gristmill.engines.sandbox import Program, Sandbox
from gristmill.errors import RequirementError
for flag in (False, True):
    sandbox = Sandbox(1, backend="bubblewrap", i_accept_that_programs_run_without_isolation=flag)
    try:
        (verdict,) = sandbox.run_all([Program("def f(x): return 9", "assert f(3) == 9")])
        print(verdict.status, verdict.profile)
    except RequirementError as error:
        print(error)
    print(sandbox.identity)
"""


def run_python(code: str) -> str:
    command = [sys.executable, "-c", code]
    source = str(Path(pool.__file__).parents[3])
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": source}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_back_end_that_fails_once_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    killed, well = Probe("user namespaces", "it was killed", "none"), Probe("network", "", "none")
    tries = iter([(killed,), (well,), (killed,), (killed,)])
    monkeypatch.setattr(backends, "_probed", lambda backend: next(tries))
    backends.probed.cache_clear()
    try:
        assert backends.trouble("zygote") == []
        assert backends.trouble("bubblewrap") == ["user namespaces: it was killed (none)"]
    finally:
        backends.probed.cache_clear()


def test_without_isolation_nothing_runs_unless_somebody_says_so_at_length() -> None:
    refused, identity, accepted, profile, other = run_python(NO_BWRAP).replace(
        "pass ", "pass\n"
    ).splitlines()  # fmt: skip
    assert "bwrap) is not on PATH" in refused
    assert "apt-get install bubblewrap" in refused
    assert (accepted, "NOT ISOLATED" in profile) == ("pass", True)
    assert identity != other
    assert "NOT-ISOLATED" in other


def test_a_promise_that_does_not_hold_stops_everything() -> None:
    open_root = Probe("read-only root", "write /etc: expected EROFS, found worked", "close it")
    slow_root = Probe("number of files", "files: found worked", "use another", mandatory=False)
    assert failures([Probe("network", "", ""), slow_root]) == []
    reasons = failures([open_root])
    assert "write /etc: expected EROFS, found worked (close it)" in str(refusal(reasons))


def test_the_number_of_workers_is_in_no_key() -> None:
    assert Sandbox(3).identity == Sandbox(workers=5).identity
    assert isinstance(Sandbox(3), Engine)
    assert Sandbox(3).workers == 3
    with pytest.raises(ValueError, match="workers"):
        Sandbox(0)


def test_back_ends_with_the_same_policy_share_their_verdicts_and_others_do_not() -> None:
    assert Sandbox(1, backend="zygote").identity == Sandbox(1, backend="bubblewrap").identity
    weaker = Sandbox(1, backend="degraded").identity
    trusting = Sandbox(1, i_accept_that_programs_run_without_isolation=True).identity
    assert len({Sandbox(1).identity, weaker, trusting}) == 3


def test_a_machine_without_user_namespaces_is_told_what_it_lacks() -> None:
    code = """
from gristmill.engines.sandbox import Program, Sandbox
from gristmill.errors import RequirementError
try:
    print(Sandbox(1).run_all([Program("", "")]))
except RequirementError as error:
    print(error)
"""
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    argv = ["unshare", "-Ur", "sh", "-c", forbid, "sh", sys.executable, "-c", code]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(pool.__file__).parents[3])}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, timeout=60)
    if "Permission denied" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"namespaces cannot be forbidden here: {done.stderr}")
    assert "zygote: user namespaces: " in done.stdout, (done.stdout, done.stderr)
    assert "bubblewrap: user namespaces: " in done.stdout
    assert "sysctl user.max_user_namespaces" in done.stdout


def test_it_travels_to_another_process_before_it_is_started() -> None:
    assert pickle.loads(pickle.dumps(Sandbox(3))) == Sandbox(3)


def test_trouble_of_the_machine_is_an_error_and_no_verdict(sandbox: Sandbox) -> None:
    # Too little for the interpreter itself would be the program's fault; no time for it is ours.
    class Broken(pool._State):
        def execute(self, job, stdin, limits, **where):
            outcome = super().execute(job, stdin, limits, **where)
            outcome.end = "infra"
            outcome.output["stderr"] += b"bwrap: no luck"
            return outcome

    broken = Sandbox(1)
    broken._state = Broken(1, "zygote", {})
    try:
        with pytest.raises(EngineError, match="3 times: bwrap: no luck"):
            asyncio.run(broken.run(SQUARE))
        (verdict,) = broken.run_all([SQUARE])
        assert (verdict.status, verdict.durable) == ("infra_error", False)
    finally:
        broken.close()


def test_stopping_kills_what_runs_and_gives_up_what_waits(sandbox: Sandbox) -> None:
    async def stop_early() -> int:
        own = Sandbox(1)
        await own.start()
        sleeper = Program("import time\ntime.sleep(60)", "assert f(3) == 9", timeout_s=60)
        waiting = [asyncio.create_task(own.run(sleeper)) for _ in range(50)]
        await asyncio.sleep(0)
        await own.stop()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        return sum(isinstance(result, BaseException) for result in done)

    started = time.monotonic()
    assert asyncio.run(stop_early()) == 50
    assert time.monotonic() - started < 20


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["zygote", "bubblewrap"])
def test_programs_die_with_the_process_that_runs_them(backend: str, tmp_path: Path) -> None:
    code = f"""
from gristmill.engines.sandbox import Program, Sandbox
sandbox = Sandbox(1, backend={backend!r})
sandbox.run_all([])
open({str(tmp_path / "ready")!r}, "w").close()
sandbox.run_all([Program("import time; time.sleep(3599)", "assert 1", timeout_s=3600)])
"""
    source = str(Path(pool.__file__).parents[3])
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": source}
    process = subprocess.Popen([sys.executable, "-c", code], env=env)
    while not (tmp_path / "ready").exists():
        time.sleep(0.05)
    while not (children := descendants(process.pid)):
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    for _ in range(100):
        if not any(is_running(pid) for pid in children):
            break
        time.sleep(0.05)
    assert not any(is_running(pid) for pid in children)


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_is_made_of_whole_instructions(machine: str, counted: bool) -> None:
    program = build_filter(machine, counted=counted)
    assert len(program) % 8 == 0
    assert 100 < len(program) // 8 < 4096
    # Every jump lands inside the program.
    lines = [program[i : i + 8] for i in range(0, len(program), 8)]
    for i, line in enumerate(lines):
        if line[0] & 7 == 5:
            assert max(line[2], line[3]) + i + 1 < len(lines)


def test_an_unknown_machine_has_no_filter() -> None:
    with pytest.raises(RequirementError, match="riscv64"):
        build_filter("riscv64")


@pytest.fixture(params=BACKENDS)
def ungrouped(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slot]:
    """Return a place as it is on a machine that lets nobody make control groups."""
    monkeypatch.setattr(backends, "make_group", lambda: None)
    made = backends.Slots(request.param, 1)
    yield made.all[0]
    made.close()


SLEEPERS = """
import os, time
for _ in range(300):
    if not os.fork():
        time.sleep(60)
time.sleep(60)
"""


@pytest.mark.parametrize(
    "name",
    [
        "01_fork_bomb",
        "03_memory_balloon",
        "05_many_children_share_the_memory",
        "07_detached_segments",
        "07_memfd_fill",
        "07_shared_memory_fill",
        "42_zombies",
        "100_fills_message_queues",
        "100_fills_semaphore_sets",
        "102_lets_go_of_shared_pages",
    ],
)
@pytest.mark.slow
def test_without_control_groups_the_limits_hold(ungrouped: Slot, name: str) -> None:
    code = Attack.load(FOLDER / f"{name}.txt").code
    if name == "01_fork_bomb" and isinstance(ungrouped, process.Slot) and os.getuid() == 0:
        code = SLEEPERS  # nothing but the watcher counts root's processes: SECURITY.md, gap 1
    program = Program(code, "assert f(3) == 9", timeout_s=5, memory_mb=256)
    verdict = judge(program, ungrouped.execute)
    assert verdict.status in {"oom", "error", "timeout"}, verdict
    assert verdict.wall_ms < 7000
    assert judge(SQUARE, ungrouped.execute).status == "pass"


def test_less_memory_than_an_interpreter_needs_is_no_trouble_of_the_machine(
    lone: Sandbox,
) -> None:
    (small,) = lone.run_all([Program(SQUARE.code, SQUARE.tests, memory_mb=1)])
    assert small.status in {"oom", "error"}, small
    assert lone.run_all([SQUARE])[0].status == "pass"


def test_a_tree_of_processes_is_measured_no_further_than_its_limit() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 9 & sleep 9 & sleep 9 & wait"]) as process:
        while len(descendants(process.pid)) < 3:
            time.sleep(0.01)
        assert measure(process.pid, 64).processes == 4
        assert measure(process.pid, 2).processes == 3
        for pid in descendants(process.pid):
            os.kill(pid, signal.SIGKILL)


def test_a_verdict_is_kept_and_replayed(sandbox: Sandbox, tmp_path: Path) -> None:
    answers = Answers(tmp_path / "answers")
    client = Client(sandbox, answers)

    async def twice() -> list[object]:
        return [await client.ask(SQUARE), await client.ask(SQUARE)]

    first, second = asyncio.run(twice())
    answers.close()
    assert first == second
    assert (client.made, client.replayed) == (1, 1)
