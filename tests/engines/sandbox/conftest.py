"""One sandbox per back end for all tests of this folder; what a machine lacks is skipped."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from gristmill.engines.sandbox import Sandbox
from gristmill.errors import RequirementError

BACKENDS = ("zygote", "bubblewrap")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the modes in which an attack does not run on a back end for this user."""

    def is_wanted(item: Any) -> bool:
        found = getattr(item, "callspec", None)
        attack = found and found.params.get("attack")
        modes = getattr(attack, "modes", None)
        return modes is None or found.params["mode"] in modes(found.params["lone"])

    left_out = [item for item in items if not is_wanted(item)]
    items[:] = [item for item in items if is_wanted(item)]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session", params=BACKENDS)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Return a sandbox with two slots."""
    yield from opened(request.param, 2)


@pytest.fixture(scope="session", params=BACKENDS)
def lone(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Return a sandbox with one slot: what runs next runs where the last one did."""
    yield from opened(request.param, 1)


@pytest.fixture(scope="session")
def chosen() -> Iterator[Sandbox]:
    """Return a sandbox on the back end that is used here when none is named."""
    yield from opened("auto", 1)


def opened(backend: Any, workers: int) -> Iterator[Sandbox]:
    made = Sandbox(workers, backend=backend)
    try:
        made.run_all([])
    except RequirementError as error:
        if os.environ.get("GRISTMILL_REQUIRE_SANDBOX") == "1":
            raise
        pytest.skip(f"no isolation here: {error}")
    yield made
    made.close()
