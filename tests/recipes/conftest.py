"""What every recipe has to show: it runs on its own seeds, adds up, and runs again to the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audit import audit

from gristmill import Recipe, run
from gristmill.engines.sandbox import Sandbox
from gristmill.errors import RequirementError


@pytest.fixture
def twice(engine: Any, tmp_path: Path) -> Callable[..., Any]:
    """Run a shipped recipe twice on scripted answers; return what it kept."""

    def go(name: str, answer: Callable[[str, int], str], export: str, sets: list[str]) -> Any:
        only = f"export={{formats: [{export}], card: false, report: false}}"
        recipe = Recipe.load(name, [only, *sets])
        with Sandbox(2) as sandbox:
            try:
                sandbox.run_all([])
            except RequirementError as error:
                pytest.skip(f"no isolation here: {error}")
            model = engine(answer=answer)
            roles = {role: sandbox if role == "sandbox" else model for role in recipe.engines}
            first = run(recipe, engines=roles, workspace=tmp_path)
            assert audit(first.path) == []
            again = run(recipe, engines=roles, workspace=tmp_path)
        assert again.dataset == first.dataset
        assert len(first.dataset) > 0, first.ledger
        for line in first.ledger:
            assert not line["failed"], line
        return first.dataset

    return go
