"""One sandbox for all tests of this folder; without isolation they say why they are skipped."""

import os
from collections.abc import Iterator

import pytest

from gristmill.engines.sandbox import Sandbox
from gristmill.errors import RequirementError


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(2)
    try:
        made.run_all([])
    except RequirementError as error:
        if os.environ.get("GRISTMILL_REQUIRE_SANDBOX") == "1":
            raise
        pytest.skip(f"no isolation here: {error}")
    yield made
    made.close()
