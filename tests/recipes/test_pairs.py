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
from tests.recipes.traced import Traced

PAIRED = [name for name in MAKES if "preference" in Recipe.load(name).export.formats]
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


def built(name: str, place: Path) -> Result:
    """Run a recipe on its first seeds, with the pairs as its only export."""
    export = Export(formats=["preference"], card=True, report=False)
    recipe = untrained(name).model_copy(update={"export": export})
    model = Talks() if name == "optima" else Traced(bad_rate=0.0)
    with Sandbox(1) as sandbox:
        roles = {role: sandbox if role == "sandbox" else model for role in recipe.engines}
        return run(recipe, seeds_of(name, 3), engines=roles, workspace=place)


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
