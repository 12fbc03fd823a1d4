"""What `check --online` asks: are the models there, may this token write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gristmill.errors import InputError, RequirementError
from gristmill.pipelines.workspace import Prepared
from gristmill.publishing.escape import line

TIMEOUT_S = 10.0


def asked(prepared: Prepared) -> Iterator[str]:
    """Yield a line for everything that the Hub knows about this recipe.

    Raises:
        InputError: A model is not on the Hub, or this token may not read it.
        RequirementError: The Hub cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    api = HfApi()
    # Of whichever HTTP library huggingface_hub is built on: it has changed twice.
    network: tuple[Any, ...] = HfHubHTTPError.__bases__
    try:
        for role, model in sorted(_models(prepared).items()):
            try:
                found = api.model_info(model, timeout=TIMEOUT_S)
            except HfHubHTTPError as error:
                why = line(str(error), 200)
                raise InputError(
                    f"engines.{role}: '{model}' cannot be read on the Hub: {why}; check its name, "
                    "and HF_TOKEN if it is gated or private"
                ) from error
            terms = found.card_data.license if found.card_data else None
            said = line(str(terms or "no licence named"), 60)
            yield f"{role}: {model} is on the Hub at {found.sha}, {said}"
        if os.environ.get("HF_TOKEN"):
            yield f"HF_TOKEN belongs to {line(str(api.whoami().get('name')), 60)}"
        else:
            yield "HF_TOKEN is not set: `publish` will need one that may write"
    except (*network, OfflineModeIsEnabled, OSError) as error:
        raise RequirementError(
            f"the Hub at {api.endpoint} cannot be reached: {line(str(error), 200)}; check the "
            "network, HF_ENDPOINT and HF_HUB_OFFLINE, or leave --online out"
        ) from error


def _models(prepared: Prepared) -> dict[str, str]:
    """Return the models that are names on the Hub, by role."""
    named = {role: str(getattr(e, "model", "")) for role, e in prepared.engines.items()}
    return {role: m for role, m in named.items() if "/" in m and not Path(m).expanduser().exists()}
