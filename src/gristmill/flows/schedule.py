"""Serve a deployment: the flow of an order, run by the clock of a Prefect server."""

from __future__ import annotations

from prefect.flows import serve as serve_deployments
from prefect.types.entrypoint import EntrypointType

from gristmill.errors import RecipeError
from gristmill.flows.build import build
from gristmill.flows.order import Order


def serve(order: Order, name: str, cron: str) -> None:
    """Serve until interrupted. One run at a time: the workspace has one lock."""
    try:
        deployment = build.to_deployment(
            name,
            cron=cron,
            parameters={"order": order.model_dump(mode="json")},
            concurrency_limit=1,
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
    except ValueError as error:
        raise RecipeError(
            f"--cron '{cron}': {error}; expected five fields such as '0 3 * * *'"
        ) from error
    serve_deployments(deployment, print_starting_message=False)  # type: ignore[arg-type]
