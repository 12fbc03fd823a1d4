"""The real sandbox for generators that execute; skipped where nothing isolates."""

from collections.abc import Iterator

import pytest

from gristmill.engines.sandbox import Sandbox
from gristmill.errors import RequirementError


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Return a sandbox with two slots."""
    with Sandbox(2) as made:
        try:
            made.run_all([])
        except RequirementError as error:
            pytest.skip(f"no isolation here: {error}")
        yield made
