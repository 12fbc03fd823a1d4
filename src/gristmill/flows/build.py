"""A run as a Prefect flow: a task for the check, every unit of work and the export.

Rows never go through Prefect: a task gets the run's folder and the unit's name. Retries replay
from the answer store, so Prefect's own caching and result storage stay off.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow, task
from prefect.artifacts import (
    acreate_progress_artifact,
    aupdate_progress_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.cache_policies import NO_CACHE

from gristmill.engines.progress import Progress
from gristmill.errors import EngineError, StorageError
from gristmill.flows.order import Order
from gristmill.pipelines.outcome import Result
from gristmill.pipelines.workspace import Prepared
from gristmill.stopping import listening
from gristmill.text.plurals import counted

log = logging.getLogger(__name__)
Tell = Callable[[Progress], None]
RETRIES = 2
LOOK_S = 5.0
"""Between two updates of the progress artifact."""


@dataclass
class Call:
    """What a flow run in this process shares with its tasks, beside Prefect."""

    order: Order
    prepared: Prepared | None = None
    tell: Tell | None = None
    result: Result | None = None
    work: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    artifact: UUID | None = None
    looked: float = 0.0
    looks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def step(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Run a unit as a task; what it returns stays in this process."""
        box: list[Any] = []

        async def into_box() -> None:
            box.append(await work())

        self.work[name] = into_box
        if self.artifact is None:
            made = await acreate_progress_artifact(progress=0.0, key=_key(self.order, "progress"))
            self.artifact = made if isinstance(made, UUID) else made.id
        await unit(str(self.order.workspace), name)
        return box[-1]

    def look(self, now: Progress) -> None:
        """Pass progress on, to the artifact every few seconds."""
        if self.tell:
            self.tell(now)
        if self.artifact and now.rows_total and time.monotonic() - self.looked >= LOOK_S:
            self.looked = time.monotonic()
            share = 100.0 * min(now.rows_done, now.rows_total) / now.rows_total
            about = f"{now.unit}: {now.rows_done:,} of {counted(now.rows_total)}, wave {now.wave}"
            update = asyncio.create_task(_update(self.artifact, share, about))
            self.looks.add(update)
            update.add_done_callback(self.looks.discard)


CALL: ContextVar[Call] = ContextVar("CALL")


def build_in_flow(
    order: Order, prepared: Prepared, tell: Tell | None, note: Callable[[str], None]
) -> Result:
    """Run a checked order as a flow and return its result, also when the server goes meanwhile."""
    import httpx

    call = Call(order, prepared, tell)
    token = CALL.set(call)
    try:
        build(order.model_dump(mode="json"))
    except httpx.TransportError as error:
        note(
            f"the Prefect server does not answer any more ({error}): the run goes on without it; "
            "at the end Prefect may take some minutes to give up"
        )
        if call.result is None:
            call.result = order.execute(prepared, tell)
    finally:
        CALL.reset(token)
    assert call.result is not None
    return call.result


def _run_name() -> str:
    from prefect.runtime import flow_run

    return Path(str(flow_run.parameters["order"]["recipe"])).stem


@flow(name="build-dataset", flow_run_name=_run_name, persist_result=False)
def build(order: dict[str, Any]) -> None:
    """Build the dataset of an order; this is what a deployment calls."""
    call = CALL.get(None) or Call(Order.model_validate(order))
    token = CALL.set(call)
    try:
        grown = check()
        if call.prepared:
            with listening():
                call.result = call.order.execute(call.prepared, call.look, call.step)
            _artifacts(call.order, call.result)
        else:
            log.info("nothing new: every seed was taken before")
        if call.order.publish:
            publish(grown, call.order.publish, private=not call.order.public)
    finally:
        CALL.reset(token)


@task(name="check", persist_result=False, cache_policy=NO_CACHE)
def check() -> Path:
    """Check the recipe, unless whoever called has; return the folder of what it may grow.

    When growing there may be nothing to do.
    """
    call = CALL.get()
    if call.prepared:
        return call.order.grown(call.prepared)
    base = call.order.prepare()
    call.order.amend(base, call.look)
    call.prepared = call.order.due(base)
    return call.order.grown(base)


def _is_far(_task: Any, _run: Any, state: Any) -> bool:
    """Retry while the Hub cannot be reached: what has arrived is not sent again."""
    return isinstance(state.data, StorageError)


@task(
    name="publish",
    retries=RETRIES,
    retry_delay_seconds=60,
    retry_condition_fn=_is_far,
    persist_result=False,
    cache_policy=NO_CACHE,
)
def publish(folder: Path, repo_id: str, *, private: bool) -> None:
    """Send a grown dataset to the Hub, also one that the last time could not be sent."""
    from gristmill.publishing import hub

    hub.publish(folder, repo_id, private=private)


def _is_machine(_task: Any, _run: Any, state: Any) -> bool:
    """Retry what another attempt can repair; everything else would fail the same way."""
    return isinstance(state.data, EngineError)


@task(
    name="unit",
    task_run_name="{unit_id}",
    retries=RETRIES,
    retry_condition_fn=_is_machine,
    persist_result=False,
    cache_policy=NO_CACHE,
)
async def unit(workspace: str, unit_id: str) -> None:
    """Do one unit of work of the run that this process is in."""
    log.debug("workspace=%s unit=%s", workspace, unit_id)
    await CALL.get().work[unit_id]()


async def _update(artifact: UUID, share: float, about: str) -> None:
    """Tell the server; a server that is slow or gone costs the look, never the run."""
    import httpx

    try:
        await aupdate_progress_artifact(artifact, share, about)
    except httpx.HTTPError as error:
        log.info("progress not shown: %s", error)


def _artifacts(order: Order, result: Result) -> None:
    names = ("in", "rejected", "failed", "made", "kept")
    rows = [{"stage": x["stage"], **{n: x[n] for n in names}} for x in result.ledger]
    about = f"{counted(result.dataset.num_rows)}; stopped by: {result.stop}"
    create_table_artifact(rows, key=_key(order, "yield"), description=about)
    links = [f"- {name}: `{path.absolute()}`" for name, path in _places(result) if path.exists()]
    create_markdown_artifact("\n".join([about, "", *links]), key=_key(order, "report"))


def _places(result: Result) -> list[tuple[str, Path]]:
    card = result.folder / "README.md"
    return [("dataset", result.folder), ("card", card), ("report", result.report)]


def _key(order: Order, what: str) -> str:
    """Return a key as Prefect wants it: small letters, digits and dashes."""
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in Path(order.recipe).stem)
    return f"gristmill-{name.lower()}-{what}"
