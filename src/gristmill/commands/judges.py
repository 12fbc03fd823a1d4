"""Which judges of a run were calibrated, whether that holds still, who judges its own family."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

from gristmill.flows.kinship import own_family
from gristmill.pipelines.plan import Use
from gristmill.pipelines.workspace import Prepared
from gristmill.publishing import calibration
from gristmill.storage.ids import digest


def identity(judge: Use, prepared: Prepared) -> str:
    """Name a judge: its stage, parameters and prompts, and the engines that it asks."""
    stage = judge.stage
    module = sys.modules[type(stage).__module__]
    texts = {name: repr(value) for name, value in vars(module).items() if name.isupper()}
    prompts = inspect.getsource(module), texts  # also those that it imports
    engines = {role: prepared.engines[role].identity for role in sorted(stage.needs())}
    return digest(name_of(judge), stage.version, stage.model_dump(mode="json"), prompts, engines)


def judged_by(prepared: Prepared, workspace: Path) -> Iterator[tuple[Use, calibration.Found, bool]]:
    """Yield the judges whose stage was calibrated once, what was found, and if it holds."""
    for use in prepared.plan.uses:
        if use.folder in ("verifiers", "scorers"):
            found = calibration.known(workspace, name_of(use))
            if one := found.get(identity(use, prepared)):
                yield use, one, True
            elif found:
                yield use, next(iter(found.values())), False


def stale(prepared: Prepared, workspace: Path) -> Iterator[str]:
    """Yield a warning for every judge that is not the one that was calibrated."""
    for use, found, holds in judged_by(prepared, workspace):
        if not holds:
            yield (
                f"{use.label}: its stage was calibrated (kappa {found['kappa']:.2f}), but with "
                "another model, prompt or parameters; measure this one: build-dataset calibrate"
            )


def note_judges(prepared: Prepared, workspace: Path) -> None:
    """Put what holds and who judges its own family beside the run, before its card is written."""
    found = judged_by(prepared, workspace)
    there = {use.label: one for use, one, holds in found if holds}
    run = workspace / "runs" / prepared.name
    run.mkdir(parents=True, exist_ok=True)
    calibration.save(run, there, [*own_family(prepared)])


def name_of(judge: Use) -> str:
    """Return the name by which a recipe uses a judge, such as `verifiers.pairwise`."""
    return type(judge.stage).__module__.removeprefix("gristmill.")
