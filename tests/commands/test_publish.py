import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.publishing.hub_server import TOKEN, Hub, serving

CLI = "import sys; from gristmill.cli import main; sys.exit(main())"


@pytest.fixture
def server() -> Iterator[Hub]:
    with serving() as found:
        yield found


def test_a_run_goes_up_by_the_command_line_once(call, place: Path, server: Hub) -> None:
    assert call("run", "tiny.yaml", "--local", "--no-prefect")[0] == 0
    environment = os.environ | {
        "HF_ENDPOINT": server.url,
        "HF_TOKEN": TOKEN,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }

    def publish() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", CLI, "publish", "last", "someone/rows"]
        return subprocess.run(
            command, cwd=place, env=environment, capture_output=True, text=True, check=False
        )

    done = publish()
    assert done.returncode == 0, done.stderr
    assert "private: http" in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    up = server.files("someone/rows")
    assert {"README.md", "data/train-00000-of-00001.parquet"} <= set(up)
    again = publish()
    assert again.returncode == 0, again.stderr
    assert server.files("someone/rows") == up
