"""What to build, as plain data: the command line fills it, a deployment carries it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from gristmill.engines.progress import Progress
from gristmill.flows import growing
from gristmill.flows.kinship import apart
from gristmill.pipelines.outcome import Result
from gristmill.pipelines.recipe import Recipe
from gristmill.pipelines.run import Step
from gristmill.pipelines.runners import LocalRunner, RayRunner
from gristmill.pipelines.workspace import Prepared, execute, prepare

UNISOLATED = "i_accept_that_programs_run_without_isolation"
"""The sandbox's parameter."""


class Order(BaseModel):
    """A recipe with everything that the command line can add to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    """A shipped recipe's name or a path."""
    sets: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    map: dict[str, str] = {}
    target: int | None = None
    workspace: Path = Path()
    """The folder of `.gristmill/` (answers and lock) and `runs/`."""
    local: bool = False
    """In this process, without Ray."""
    allow_plugins: bool = False
    """Import stages from modules outside gristmill."""
    unisolated: bool = False
    """Run generated code with the user's rights where no sandbox works."""
    ray: str | None = None
    """The address of a Ray cluster, or `auto`."""
    grow: bool = False
    """Work on new seeds only, and add what they give to the dataset of the recipe's name."""
    publish: str | None = None
    """The repository on the Hub that the grown dataset goes to, version by version."""
    public: bool = False
    """Whether everybody may see that."""

    def load(self) -> Recipe:
        """Return the recipe with the changes applied."""
        more = [] if self.target is None else [f"target={self.target}"]
        if self.unisolated:
            more += ["engines.sandbox.use=sandbox", f"engines.sandbox.{UNISOLATED}=true"]
        return Recipe.load(self.recipe, [*self.sets, *more], self.inputs, self.map)

    def runner(self) -> LocalRunner:
        """Return where the rows are worked on."""
        return LocalRunner() if self.local else RayRunner(address=self.ray)

    def prepare(self) -> Prepared:
        """Check everything that can be checked without loading a model."""
        prepared = prepare(self.load(), allow_plugins=self.allow_plugins)
        apart(prepared)
        return prepared

    def due(self, prepared: Prepared) -> Prepared | None:
        """Return what is to be run: when growing the new seeds alone, None where there are none."""
        if not self.grow:
            return prepared
        return growing.part(prepared, self.grown(prepared), allow_plugins=self.allow_plugins)

    def amend(self, prepared: Prepared, progress: Callable[[Progress], None] | None) -> None:
        """When growing, let the dataset first obey what people marked in it since."""

        def run(due: Prepared, path: Path) -> None:
            execute(due, self.runner(), self.workspace, folder=path, progress=progress)

        if self.grow:
            folder, allow = self.grown(prepared), self.allow_plugins
            growing.amend(prepared, folder, run, allow_plugins=allow)

    def grown(self, prepared: Prepared) -> Path:
        """Return the folder of the dataset that grows."""
        return self.workspace / "datasets" / prepared.recipe.name

    def execute(
        self,
        prepared: Prepared,
        progress: Callable[[Progress], None] | None = None,
        step: Step | None = None,
        folder: Path | None = None,
    ) -> Result:
        """Run it to its end; `folder` replaces the usual one."""
        result = execute(
            prepared, self.runner(), self.workspace, folder=folder, progress=progress, step=step
        )
        if self.grow:
            growing.add(self.grown(prepared), prepared, result.path)
        return result

    def absolute(self) -> Order:
        """Return the same order for a process that starts in another folder."""
        here = {
            "workspace": self.workspace.absolute(),
            "inputs": tuple(_absolute(path) for path in self.inputs),
            "recipe": _absolute(self.recipe),
        }
        return self.model_copy(update=here)


def _absolute(path: str) -> str:
    """Leave names and addresses as they are."""
    return str(Path(path).absolute()) if Path(path).exists() else path
