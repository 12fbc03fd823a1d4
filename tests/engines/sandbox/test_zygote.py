"""The warm interpreter: it is replaced when it breaks, grows old or fat, and it leaks nothing."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from gristmill.engines.sandbox import Program, Sandbox
from gristmill.engines.sandbox.cgroups import make_group
from gristmill.engines.sandbox.judge import judge
from gristmill.engines.sandbox.profiles import BARE
from gristmill.engines.sandbox.zygote import RUNS, Slot, Zygote
from tests.engines.sandbox.conftest import BACKENDS, opened
from tests.engines.sandbox.test_attacks import QUICK, descendants, open_files
from tests.engines.sandbox.test_benign import CHECKS, HONEST

SQUARE = Program("def f(x):\n    return x * x", "assert f(3) == 9")
SLEEPS = replace(SQUARE, code="import time\ntime.sleep(0.5)\n" + SQUARE.code)


@pytest.fixture
def slot() -> Iterator[Slot]:
    group = make_group()
    with ThreadPoolExecutor(1) as spawner:
        made = Slot(group, BARE, spawner)
        try:
            made.fresh()
        except OSError as error:
            if os.environ.get("GRISTMILL_REQUIRE_SANDBOX") == "1":
                raise
            pytest.skip(f"no warm interpreter here: {error}")
        yield made
        made.close()
    if group:
        group.remove()


@pytest.fixture(scope="module")
def zygotes() -> Iterator[Sandbox]:
    made = Sandbox(1, backend="zygote")
    made.run_all([])
    yield made
    made.close()


def slot_of(sandbox: Sandbox) -> Slot:
    assert sandbox._state
    (slot,) = sandbox._state.made.all
    assert isinstance(slot, Slot)
    return slot


def warm(slot: Slot) -> Zygote:
    assert slot.zygote
    return slot.zygote


def inner_pid(zygote: Zygote) -> int:
    return descendants(zygote.process.pid)[0]


def break_inner(zygote: Zygote) -> None:
    os.kill(inner_pid(zygote), signal.SIGKILL)


def break_outer(zygote: Zygote) -> None:
    zygote.process.send_signal(signal.SIGKILL)


def break_socket(zygote: Zygote) -> None:
    zygote.control.shutdown(2)


@pytest.mark.parametrize("sabotage", [break_inner, break_outer, break_socket])
def test_a_crash_in_the_middle_of_a_run_changes_no_label(zygotes: Sandbox, sabotage) -> None:
    zygotes.run_all([SQUARE])
    before = warm(slot_of(zygotes))
    timer = threading.Timer(0.2, sabotage, [before])
    timer.start()
    (verdict,) = zygotes.run_all([SLEEPS])
    timer.join()
    assert verdict.status == "pass", verdict
    assert slot_of(zygotes).zygote is not before
    assert not Path(f"/proc/{before.process.pid}").exists()


def test_one_crash_is_trouble_of_the_machine_and_no_verdict(slot: Slot) -> None:
    timer = threading.Timer(0.2, break_inner, [warm(slot)])
    timer.start()
    assert judge(SLEEPS, slot.execute).status == "infra_error"
    timer.join()
    assert judge(SQUARE, slot.execute).status == "pass"


def test_an_old_or_fat_interpreter_is_replaced(slot: Slot) -> None:
    first = slot.fresh()
    assert slot.fresh() is first
    first.runs = RUNS
    second = slot.fresh()
    assert second is not first
    second.weigh(1000)
    second.weigh(1200)
    assert slot.fresh() is second
    second.weigh(1201)
    assert slot.fresh() is not second
    assert first.process.returncode is not None


def test_the_start_of_an_interpreter_is_no_part_of_a_run_s_time(slot: Slot) -> None:
    class Late(Slot):
        def fresh(self) -> Zygote:
            time.sleep(1.5)
            return super().fresh()

    late = Late(slot.group, BARE, slot.spawner)
    verdict = judge(SQUARE, late.execute)
    late.close()
    assert verdict.status == "pass"
    assert verdict.wall_ms < 1500


def test_a_profile_that_lacks_a_module_does_not_start() -> None:
    with pytest.raises(OSError, match="no_such_module"):
        Zygote(replace(BARE, preload=("no_such_module",)))


def test_one_that_cannot_start_again_is_trouble_of_the_machine(slot: Slot) -> None:
    slot.close()
    slot.profile = replace(BARE, preload=("no_such_module",))
    verdict = judge(SQUARE, slot.execute)
    assert verdict.status == "infra_error"
    assert "no_such_module" in verdict.detail


def test_its_owner_takes_it_along(slot: Slot) -> None:
    zygote = warm(slot)
    inner = inner_pid(zygote)
    zygote.control.shutdown(2)
    zygote.process.wait(5)
    assert not Path(f"/proc/{inner}").exists()


def test_a_program_sees_two_processes_and_no_socket_of_ours(slot: Slot) -> None:
    code = """
import os
def f():
    held = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))
    return [sorted(int(n) for n in os.listdir("/proc") if n.isdigit()), held[:4], os.getuid()]
"""
    # The fifth descriptor is that of the folder being listed.
    checks = "assert f() == [[1, 2], [0, 1, 2, 3], 65534]"
    verdict = judge(Program(code, checks), slot.execute)
    assert verdict.status == "pass", verdict


def test_its_init_can_be_neither_traced_nor_read(slot: Slot) -> None:
    code = """
def f(name):
    try:
        with open(f"/proc/1/{name}", "rb") as file:
            return len(file.read(1))
    except OSError as error:
        return error.errno
"""
    checks = "assert f('mem') == 13\nassert f('environ') == 13\nassert f('maps') == 13"
    verdict = judge(Program(code, checks), slot.execute)
    assert verdict.status == "pass", verdict


def reader_of(slot: Slot) -> int:
    """Return the process that reads the texts: the interpreter's child in its own namespaces."""
    inner = inner_pid(warm(slot))
    (found,) = [pid for pid in children(inner) if space(pid) == space(inner)]
    return found


def space(pid: int) -> str:
    """Return the pid namespace of a process; nothing if it has gone meanwhile."""
    with suppress(FileNotFoundError, PermissionError):
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    return ""


def children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_one_process_reads_all_texts_and_another_one_when_it_is_gone(slot: Slot) -> None:
    assert judge(SQUARE, slot.execute).status == "pass"
    first, zygote = reader_of(slot), slot.zygote
    assert judge(SQUARE, slot.execute).status == "pass"
    assert reader_of(slot) == first
    os.kill(first, signal.SIGKILL)
    while "\nState:\tZ" not in Path(f"/proc/{first}/status").read_text():
        time.sleep(0.001)
    for _ in range(3):
        assert judge(SQUARE, slot.execute).status == "pass"
    assert reader_of(slot) != first
    assert slot.zygote is zygote


@pytest.mark.parametrize(
    ("text", "timeout_s", "ends"),
    [
        ("x = 1\n" * 300_000, 0.05, {"timeout"}),  # killed while it is being read
        ("-" * 1_000_000 + "1\n", 5, {"error"}),  # takes the reader's stack
        ("y = '" + "z" * 9_000_000 + "'\n", 9, {"pass"}),  # leaves it large
    ],
    ids=["hangs", "crashes", "grows"],
)
def test_a_text_that_harms_its_reader_harms_no_other_run(
    slot: Slot, text: str, timeout_s: float, ends: set[str]
) -> None:
    assert judge(SQUARE, slot.execute).status == "pass"
    zygote, first = slot.zygote, reader_of(slot)
    hostile = replace(SQUARE, code=text + SQUARE.code, timeout_s=timeout_s)
    assert judge(hostile, slot.execute).status in ends
    for _ in range(3):
        assert judge(SQUARE, slot.execute).status == "pass"
    assert slot.zygote is zygote
    assert reader_of(slot) != first or ends == {"error"}  # a parser that gives up in time lives


def test_runs_do_not_share_their_random_numbers(slot: Slot) -> None:
    code = "import random\ndef f():\n    print(random.random())\n    return 1"
    told = {judge(Program(code, "assert f() == 1"), slot.execute).stdout for _ in range(3)}
    assert len(told) == 3


@pytest.mark.slow
def test_both_back_ends_give_the_same_statuses() -> None:
    programs = [Program(code, tests) for code in HONEST.values() for tests in CHECKS.values()]
    programs += [attack.program(mode) for attack in QUICK for mode in attack.tests]
    told = [
        [verdict.status for verdict in sandbox.run_all(programs)]
        for backend in BACKENDS
        for sandbox in opened(backend, 2)
    ]
    different = [(p.code[:200], a, b) for p, a, b in zip(programs, *told, strict=True) if a != b]
    assert len(programs) > 100
    assert different == []


@pytest.mark.slow
def test_a_thousand_runs_leave_everything_as_it_was(slot: Slot) -> None:
    program = replace(SQUARE, code="import os\nif not os.fork(): os._exit(0)\n" + SQUARE.code)

    def state() -> dict[str, int]:
        inner = Path(f"/proc/{inner_pid(warm(slot))}")
        return {
            "fds": len(list((inner / "fd").iterdir())),
            "mounts": len((inner / "mountinfo").read_text().splitlines()),
            "processes": len(descendants(os.getpid())),
            "ours": open_files(),
            "groups": len(list(slot.group.pids.parent.glob(f"gristmill-{os.getpid()}-*")))
            if slot.group
            else 0,
        }

    for _ in range(20):
        judge(program, slot.execute)
    time.sleep(0.2)  # the last run is taken apart after its verdict
    zygote, before, pages = warm(slot), state(), warm(slot).pages
    for _ in range(1000):
        assert judge(program, slot.execute).status == "pass"
    time.sleep(0.2)
    assert slot.zygote is zygote
    assert state() == before
    assert int(Path(f"/proc/{inner_pid(zygote)}/statm").read_text().split()[1]) <= 1.05 * pages


@pytest.mark.parametrize("after", ["time.sleep(60)", "while True: pass"])
def test_what_a_child_used_that_outlives_its_program_is_counted(slot: Slot, after: str) -> None:
    code = f"""
import os, time
def f(x):
    read, wrote = os.pipe()
    if not os.fork():
        while time.process_time() < 0.3:
            pass
        os.write(wrote, b"done")
        {after}
    os.read(read, 4)
    return x * x
"""
    verdict = judge(Program(code, SQUARE.tests), slot.execute)
    assert verdict.status == "pass", verdict
    assert (verdict.cpu_ms or 0) >= 300


def test_its_first_process_can_be_neither_read_nor_stopped(slot: Slot) -> None:
    code = """
import ctypes, os, signal
def f(x):
    for name in ("mem", "maps", "environ", "auxv", "syscall", "stack", "fd/0", "ns/pid", "root/"):
        try:
            open(f"/proc/1/{name}", "rb").read(1)
        except OSError:
            continue
        return name
    libc = ctypes.CDLL(None)
    if libc.ptrace(16, 1, 0, 0) == 0 or libc.syscall(310, 1, 0, 0, 0, 0, 0) >= 0:
        return "traced"
    for number in range(1, 65):
        try:
            os.kill(1, number)
        except OSError:
            pass
    return x * x
"""
    verdict = judge(Program(code, SQUARE.tests), slot.execute)
    assert verdict.status == "pass", verdict
    assert judge(SQUARE, slot.execute).status == "pass"
