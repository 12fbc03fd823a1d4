"""One sandbox per back end for all tests of this folder; what a machine lacks is skipped."""

import os
from collections.abc import Iterator

import pytest

from gristmill.engines.sandbox import Sandbox
from gristmill.errors import RequirementError


@pytest.fixture(scope="session", params=["zygote", "bubblewrap"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    made = Sandbox(2, backend=request.param)
    try:
        made.run_all([])
    except RequirementError as error:
        if os.environ.get("GRISTMILL_REQUIRE_SANDBOX") == "1":
            raise
        pytest.skip(f"no isolation here: {error}")
    yield made
    made.close()
