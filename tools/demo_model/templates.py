"""The prompts that the demo model must know, and their hashes: no framework is imported here."""

from __future__ import annotations

from collections.abc import Iterator

from gristmill.filters import self_code_align_judge as judge
from gristmill.generators import code_act, infinity_math, unit_coder, unit_coder_refine
from gristmill.generators import evol_instruct as evol
from gristmill.generators import self_code_align as sca
from gristmill.pipelines import Recipe
from gristmill.storage.ids import digest

RETRAIN = "python tools/train_demo.py"
OTHERS = {
    code_act: ("RULES", "EXAMPLE", "WRONG_ANSWER", "LEFT"),
    infinity_math: ("MASK", "PROGRAM"),
    unit_coder: ("TESTS", "FIX"),
    unit_coder_refine: ("REFINE",),
}
"""Prompts as they stand in their modules."""


def templates() -> dict[str, str]:
    """Return the hash of every prompt that was taught, by name."""
    return {name: digest(text)[:16] for name, text in sorted([*_texts(), *_others()])}


def _texts() -> Iterator[tuple[str, str]]:
    for entry in Recipe.load("demo").stages:
        if entry["use"] == "generators.self_code_align":
            params = {k: v for k, v in entry.items() if k not in ("use", "as")}
            stage = sca.SelfCodeAlign(**params)
            told = {"code": "?", "property": sca.properties("?", "?", ["?", "?"])}
            told["instruction"] = "?"
            for form in (sca.CONCEPTS, sca.INSTRUCTION, sca.RESPONSE):
                known = {part: told[part] for part in form.parts[:1]}
                asked = [next(stage.requests(form, known, draw)) for draw in range(stage.shot_sets)]
                said = "".join(sorted({text + "".join(how.stop) for text, how in asked}))
                yield f"self_code_align.{form.parts[-1]}", said
    for name in (*evol.PUBLIC, "judge", "answer"):
        yield f"evol_instruct.{name}", evol.TEMPLATES[name]


def _others() -> Iterator[tuple[str, str]]:
    for module, names in OTHERS.items():
        for name in names:
            yield f"{module.__name__.rpartition('.')[2]}.{name.lower()}", getattr(module, name)
    yield "self_code_align.examples", sca.EXAMPLES.read_text(encoding="utf-8")
    yield "self_code_align_judge.review", judge.REVIEW.render(judge.examples())
