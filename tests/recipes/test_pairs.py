"""Every recipe that makes pairs exports what TRL reads for DPO, and its card says whence they are.

TRL's conversational preferences: `prompt` are turns that end with the user's, `chosen` and
`rejected` one turn of the assistant each.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from gristmill import Recipe, run
from gristmill.engines.requests import Completion
from gristmill.engines.sandbox import Sandbox
from gristmill.formats.exports import Export
from gristmill.pipelines.outcome import Result
from gristmill.publishing import card
from gristmill.publishing.pairs import MOST_SOURCES
from tests.conftest import text_of
from tests.recipes.test_every_recipe import MAKES, seeds_of, untrained
from tests.recipes.test_following import answer
from tests.recipes.traced import Traced

ASKED = {"auto_if": ["stages.5.makes=pairs", "stages.4.n=2", "stages.5.n=6"]}
"""What makes pairs only where it is told to, and how."""
PAIRED = [
    name for name in MAKES if name in ASKED or "preference" in Recipe.load(name).export.formats
]
NOTHING = {"tool_retrieval", "ultra_feedback_pairs"}
"""Where no pair comes of replies without sense."""


class Talks(Traced):
    """Answers as the two parties of `optima`, who agree now and then."""

    async def generate(self, request: Any) -> Completion:
        """Say what one knows, then the answer."""
        draw = request.draw
        text = f"Final answer: {['a silver cup', 'Port Ellis'][draw % 3 % 2]}"
        if "\nAlice: " not in text_of(request):
            text = f"I know this: {'more ' * (draw % 9)}. {draw % 97}"
        return Completion(text, "stop", 10, len(text.split()), "talks")


class Follows(Traced):
    """Writes what `auto_if` asks for: functions that agree, answers that they pass or not."""

    async def generate(self, request: Any) -> Completion:
        """Answer a request at length or, at every second draw, shortly."""
        prompt, draw = text_of(request), request.draw or 0
        text = answer(prompt, draw)
        if "Answer the request" in prompt and draw % 2:
            text = f"Rain, {draw % 89}."
        return Completion(text, "stop", 10, len(text.split()), "follows")


MODELS = {"optima": Talks, "auto_if": Follows}


def built(name: str, place: Path) -> Result:
    """Run a recipe on its first seeds, with the pairs as its only export."""
    export = Export(formats=["preference"], card=True, report=False)
    recipe = Recipe.load(name, ASKED[name]) if name in ASKED else untrained(name)
    recipe = recipe.model_copy(update={"export": export})
    model = MODELS.get(name, Traced)(bad_rate=0.0)
    seeds = [{"atoms": ["Use no comma."]}] if name == "auto_if" else seeds_of(name, 3)
    with Sandbox(1) as sandbox:
        roles = {role: sandbox if role == "sandbox" else model for role in recipe.engines}
        return run(recipe, seeds, engines=roles, workspace=place)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRED)
def test_pairs_are_exported_and_the_card_says_how_they_were_made(name: str, tmp_path: Path) -> None:
    result = built(name, tmp_path)
    pairs = [row for row in result.dataset.to_pylist() if row.get("chosen")]
    assert bool(pairs) != (name in NOTHING)
    if not pairs:
        return
    lines = (result.folder / "exports/preference/train.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    sides = [tuple(line[side][0]["content"] for side in ("chosen", "rejected")) for line in found]
    assert sorted(sides) == sorted((row["chosen"], row["rejected"]) for row in pairs)
    for line, (chosen, rejected) in zip(found, sides, strict=True):
        roles = [[turn["role"] for turn in line[part]] for part in ("chosen", "rejected")]
        assert roles == [["assistant"]] * 2
        assert line["prompt"][-1]["role"] == "user"
        assert chosen.strip() != rejected.strip()
        assert {"chosen_from", "rejected_from"} <= {*line}
    text = card.write(result.path).read_text()
    told = text.partition("## How pairs were made")[2].partition("\n## ")[0]
    assert "| `generators." in told
    sources = {(line["chosen_from"], line["rejected_from"]) for line in found}
    assert told.count("\n- ") == min(MOST_SOURCES, len(sources))
