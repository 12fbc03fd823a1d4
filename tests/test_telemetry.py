"""Nothing that a script starts through the library reports anything."""

import subprocess
import sys

SCRIPT = """
import sys
import huggingface_hub.constants as hub
from gristmill import Recipe, run
recipe = Recipe(name="quiet", seed=1, stages=[{"use": "filters.length", "min_words": 1}])
run(recipe, [{"instruction": "a", "output": "b"}], workspace=sys.argv[1])
from os import environ
print(hub.HF_HUB_DISABLE_TELEMETRY, environ["DO_NOT_TRACK"], environ["RAY_USAGE_STATS_ENABLED"])
"""


def test_a_script_that_imported_the_hub_first_reports_nothing(tmp_path, monkeypatch) -> None:
    for name in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.delenv(name, raising=False)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "1", "0"]
