"""Hostile programs: none may pass, outlive its run, or hold anybody up.

Every file of `attacks/` is one: a number of the project's attack list, what it may get, and the
program. Where `pass` is expected, the program looks for a way out and gives the right values only
when it found none. Each of the others has a twin that does the same kind of thing honestly, below
its code or in the file that it names, and that must pass.

Root's zygotes meet every attack in every mode; of the others each meets it in one, so that every
user and every back end meets it in both. GRISTMILL_EVERY_ATTACK=1 runs the whole product.
"""

import ast
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gristmill.engines.sandbox import Program, Sandbox
from gristmill.engines.sandbox.cgroups import Group
from gristmill.verifiers.math_answer import ALGEBRA

FOLDER = Path(__file__).parent / "attacks"
MODES = {
    "values": "assert f(3) == 9\nassert f(4) == 16",
    "asserts": "for x in (3, 4):\n    assert f(x) == x * x",
}
SETTLED_S = 1.0
QUIET_MB = 64
"""What an idle slot may hold: a warm interpreter, and the kernel's own for both."""
SLOW = {"timeout", "oom", "output_limit"}
LISTED = range(1, 86)
"""Numbers of the project's list; higher ones are our own."""
EVERY = os.environ.get("GRISTMILL_EVERY_ATTACK") == "1"
IS_ROOT = os.getuid() == 0
Footprint = dict[str, Any]
BENIGN = Program("def f(x):\n    return x * x", MODES["values"])


@dataclass
class Attack:
    name: str
    head: dict[str, str] = field(default_factory=dict)
    code: str = ""
    twin: str = ""

    @classmethod
    def load(cls, path: Path) -> "Attack":
        head, _, code = path.read_text().partition("---\n")
        lines = dict(line.split(": ", 1) for line in head.splitlines())
        code, _, twin = code.partition("--- twin\n")
        if "twin" in lines:
            twin = cls.load(path.with_stem(lines["twin"])).twin
        if "generate" in lines:
            code = eval(lines["generate"])
        before = ALGEBRA if lines.get("profile") == "sympy" else ""
        return cls(path.stem, lines, before + code, twin and before + twin)

    def program(self, mode: str, timeout_s: float = 10, *, twin: bool = False) -> Program:
        code, tests = (self.twin, self.twin_tests) if twin else (self.code, self.tests)
        return Program(code, tests[mode], timeout_s=timeout_s, memory_mb=256, profile=self.profile)

    @property
    def profile(self) -> str:
        """Return `bare`, or `sympy` for what attacks the comparison of answers."""
        return self.head.get("profile", "bare")

    @property
    def tests(self) -> dict[str, str]:
        """Tests by mode."""
        return self._tests("tests")

    @property
    def twin_tests(self) -> dict[str, str]:
        return self._tests("twin_tests" if "twin_tests" in self.head else "tests")

    def _tests(self, name: str) -> dict[str, str]:
        if name in self.head:
            return {"own": self.head[name].replace("\\n", "\n")}
        return {k: v for k, v in MODES.items() if self.head.get("mode", k) == k}

    def modes(self, backend: str, *, is_root: bool = IS_ROOT, twin: bool = False) -> list[str]:
        """Return the modes in which it, or its twin, runs on a back end: see above."""
        names = list(self.twin_tests if twin else self.tests)
        if EVERY or (is_root and backend == "zygote"):
            return names
        other = backend == "bubblewrap" and not is_root
        return [names[(sum(self.name.encode()) + other) % len(names)]]

    @property
    def number(self) -> int:
        return int(self.name.partition("_")[0])

    @property
    def expect(self) -> set[str]:
        return set(self.head["expect"].split())

    @property
    def max_wall_s(self) -> float:
        return float(self.head.get("max_wall", 3))

    @property
    def limit_s(self) -> float:
        """Return little where only the limit ends it, much where it is the program that ends."""
        if "timeout" not in self.expect:
            return 5.0
        return 0.5 if self.expect == {"timeout"} else max(1.0, self.max_wall_s - 2)


ATTACKS = [Attack.load(path) for path in sorted(FOLDER.iterdir())]
QUICK = [attack for attack in ATTACKS if not attack.expect & SLOW and "max_wall" not in attack.head]


def test_quick_attacks_get_what_they_deserve(sandbox: Sandbox) -> None:
    programs = [attack.program(attack.modes(sandbox.backend)[0]) for attack in QUICK]
    verdicts = sandbox.run_all(programs)
    wrong = {a.name: v for a, v in zip(QUICK, verdicts, strict=True) if v.status not in a.expect}
    assert len(programs) > 50
    assert wrong == {}
    assert alive(sandbox) == []


@pytest.mark.slow
def test_the_honest_twin_of_every_attack_passes(sandbox: Sandbox) -> None:
    twins = {
        attack.program(mode, twin=True): f"{attack.name}, {mode}"
        for attack in ATTACKS
        if attack.twin and (groups(sandbox) or "cgroup" not in attack.head)
        for mode in attack.modes(sandbox.backend, twin=True)
    }
    verdicts = dict(zip(twins.values(), sandbox.run_all(list(twins)), strict=True))
    assert {name: v for name, v in verdicts.items() if v.status != "pass"} == {}
    assert alive(sandbox) == []


def test_every_attack_that_may_not_pass_has_a_twin() -> None:
    assert [a.name for a in ATTACKS if a.expect != {"pass"} and not a.twin] == []
    assert [a.name for a in ATTACKS if (a.twin, a.twin_tests) == (a.code, a.tests)] == []


@pytest.fixture(scope="module")
def baseline(lone: Sandbox) -> Footprint:
    """Return the footprint before the first attack: none after it may be larger.

    One that is smaller is no trace: at the first look something may still have been going.
    """
    lone.run_all([replace(BENIGN, profile=profile) for profile in ("bare", "sympy")])
    return settled(0.5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attack", "mode"),
    [pytest.param(a, mode, id=f"{a.name}-{mode}") for a in ATTACKS for mode in a.tests],
)
def test_an_attack_gets_what_it_deserves_in_time_and_leaves_nothing(
    lone: Sandbox, baseline: Footprint, attack: Attack, mode: str
) -> None:
    limit = attack.limit_s
    program = attack.program(mode, limit)
    for _ in range(2 if "twice" in attack.head else 1):
        (verdict,) = lone.run_all([program])
        assert verdict.status in attack.expect, verdict
        # The clock is the harness's. A run that starved on a busy machine is repeated once.
        assert verdict.wall_ms < 1000 * max(attack.max_wall_s, limit + 2)
        assert len(verdict.stdout) <= 4 * 65536
        assert len(verdict.detail) <= 2000
        assert verdict.detail.isprintable()
    ended = time.monotonic()
    benign = replace(BENIGN, profile=attack.profile)
    assert {verdict.status for verdict in lone.run_all([benign] * 10)} == {"pass"}
    # Not one look: an init that is going and a place half made add up to a place.
    while (more := grown(baseline, settled(0.05))) and time.monotonic() < ended + SETTLED_S:
        continue
    assert more == {}
    assert alive(lone) == []
    assert memory_mb(lone) < QUIET_MB


@pytest.mark.slow
def test_hostile_and_honest_programs_side_by_side_get_the_same_verdicts(sandbox: Sandbox) -> None:
    # Every run of bubblewrap starts anew: there is little that one could leave to another.
    few = QUICK[:: 2 if sandbox.backend == "zygote" else 6]
    hostile = [a.program(a.modes(sandbox.backend)[0]) for a in (QUICK if EVERY else few)]
    alone = [sandbox.run_all([program])[0].status for program in hostile]
    times, workers = (5, 16) if EVERY else (1, 2)
    mixed = [program for each in hostile * times for program in (each, BENIGN, BENIGN)]
    with Sandbox(workers, backend=sandbox.backend) as crowded:
        statuses = [verdict.status for verdict in crowded.run_all(mixed)]
    assert {s for i, s in enumerate(statuses) if i % 3} == {"pass"}
    assert statuses[::3] == alone * times


def test_nothing_is_left_on_the_machine(sandbox: Sandbox) -> None:
    sandbox.run_all([BENIGN] * 2)
    before = settled(0.5)
    assert {verdict.status for verdict in sandbox.run_all([BENIGN] * 10)} == {"pass"}
    assert grown(before, settled(0.5)) == {}
    assert not before["left"]


def settled(quiet_s: float) -> Footprint:
    """Return the footprint once the place of the next run is ready: it no longer changes."""
    found, changed = footprint(), time.monotonic()
    while time.monotonic() < changed + quiet_s:
        time.sleep(0.02)
        if (now := footprint()) != found:
            found, changed = now, time.monotonic()
    return found


def footprint() -> Footprint:
    """Return what a run may not change: processes below us, mounts, folders, descriptors."""
    left = {str(path) for name in ("/tmp", "/dev/shm") for path in Path(name).glob("left*")}
    return {
        "processes": len(descendants(os.getpid())),
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "left": left | {str(path) for path in Path("/tmp").glob("gristmill-attack*")},
        "files": open_files(),
    }


def grown(before: Footprint, after: Footprint) -> Footprint:
    """Return what of a footprint is more than it was: larger numbers, new names."""
    return {name: found for name, found in after.items() if not found <= before[name]}


def groups(sandbox: Sandbox) -> list[Group]:
    """Return the slots' control groups, none where the machine has none."""
    assert sandbox._state
    return [group for group in sandbox._state.groups if group]


def memory_mb(sandbox: Sandbox) -> float:
    """Return what the slots' control groups hold."""
    names = {1: "memory.usage_in_bytes", 2: "memory.current"}
    used = [int((g.memory / names[g.version]).read_text()) for g in groups(sandbox)]
    return sum(used) / (1 << 20)


def descendants(pid: int) -> list[int]:
    found = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *descendants(child)]
    return found


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def alive(sandbox: Sandbox) -> list[str]:
    """Return what the runs left in their control groups, after a moment.

    A warm interpreter and its reader are there, and the two processes of its next run.
    """
    assert sandbox._state
    waiting = 4 if sandbox._state.backend == "zygote" else 0
    for _ in range(100):
        found = [(g.pids / "cgroup.procs").read_text().split() for g in groups(sandbox)]
        left = [pid for pids in found if len(pids) > waiting for pid in pids]
        if not left:
            break
        time.sleep(0.01)
    return left


def test_the_attack_list_is_covered() -> None:
    numbers = {attack.number for attack in ATTACKS}
    assert numbers >= set(LISTED)
    assert len(numbers - set(LISTED)) >= 15
    for attack in ATTACKS:
        if attack.number != 77:
            ast.parse(attack.code)
