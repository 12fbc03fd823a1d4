"""Serve a deployment: the flow of an order, run by the clock of a Prefect server."""

from __future__ import annotations

from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import serve as serve_deployments
from prefect.types.entrypoint import EntrypointType
from pydantic import ValidationError

from gristmill.errors import RecipeError
from gristmill.flows.build import build
from gristmill.flows.order import Order


def check_cron(cron: str) -> None:
    """Raise RecipeError for what is no cron expression."""
    try:
        CronSchedule(cron=cron)
    except ValidationError as error:
        raise RecipeError(
            f"--cron '{cron}' is no cron expression; expected five fields (minute, hour, day, "
            "month, weekday) such as '0 3 * * *'"
        ) from error


def serve(order: Order, name: str, cron: str) -> None:
    """Serve until interrupted. One run at a time: the workspace has one lock."""
    deployment = build.to_deployment(
        name,
        cron=cron,
        parameters={"order": order.model_dump(mode="json")},
        concurrency_limit=1,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    serve_deployments(deployment, print_starting_message=False)  # type: ignore[arg-type]
