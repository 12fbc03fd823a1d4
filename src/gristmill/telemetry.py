"""The switches that keep other packages from reporting what a run does."""

from __future__ import annotations

import os
import sys

OFF = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
"""By variable; who has set one keeps what it says."""


def switch_off() -> None:
    """Set them for this process and what it starts, where possible before packages are imported."""
    for name, value in OFF.items():
        os.environ.setdefault(name, value)
    read = sys.modules.get("huggingface_hub.constants")  # it has looked, and does not look again
    if read is not None and os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1":
        vars(read)["HF_HUB_DISABLE_TELEMETRY"] = True
