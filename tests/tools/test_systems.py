"""The page of systems: what the docstrings say, and no older."""

from gristmill.commands.systems import systems
from tools.systems import PAGE, holding, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python tools/systems.py"


def test_a_system_is_read_from_its_docstring() -> None:
    found = {system.name: system for system in systems()}
    evol = found["generators.evol_instruct"]
    assert evol.papers == ["2304.12244"]
    assert "WizardLM" in evol.source
    assert "Differs" not in evol.source
    assert evol.differs.startswith("our own prompts")
    assert "evol_instruct" in evol.recipes
    assert found["scorers.ifd"].papers == ["2308.12032", "2402.00530"]


ALONE = {"scorers.answer_match", "scorers.tool_win", "selectors.longest"}
"""Two count what a model of the user's own answers, one is the guide's shortest example."""


def test_every_generator_scorer_and_selector_has_a_recipe_and_a_test() -> None:
    folders = ("generators.", "scorers.", "selectors.")
    every = [system for system in systems() if system.name.startswith(folders)]
    assert {system.name for system in every if not system.recipes} == ALONE
    assert [system.name for system in every if not holding(*system.name.split("."))] == []


def test_every_generator_names_its_source() -> None:
    every = [system for system in systems() if system.name.startswith("generators.")]
    assert [system.name for system in every if not system.source] == []


def test_a_test_holds_what_it_imports_whatever_it_is_called() -> None:
    assert holding("generators", "auto_evol") == ["tests/generators/test_evol_small.py"]
    assert holding("generators", "evol_small")[0] == "tests/generators/test_evol_small.py"
    assert holding("verifiers", "irac") == ["tests/generators/test_irac.py"]
    assert holding("scorers", "no_such") == []
