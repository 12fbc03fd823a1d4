"""The page of systems: what the docstrings say, and no older."""

from gristmill.commands.systems import systems
from tools.systems import PAGE, page


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


def test_every_published_generator_has_a_recipe() -> None:
    without = [s.name for s in systems() if s.name.startswith("generators.") and not s.recipes]
    assert without == []
