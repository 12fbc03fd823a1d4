"""xP3: labelled rows of many languages, rendered by every template of their dataset.

Source: Muennighoff et al., "Crosslingual Generalization through Multitask Finetuning",
arXiv:2211.01786, section 3 (xP3, and xP3mt with translated templates); `bigscience-workshop/xmtf`
(Apache-2.0).
Differs from the paper: a chat model translates templates, and one that lost a placeholder or a
choice is left out; nobody is asked where templates stay English.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, ClassVar, Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field

from gristmill.engines.requests import Message, Op, Sampling
from gristmill.pipelines.context import Context
from gristmill.pipelines.replies import REPLY_CODES, fill
from gristmill.pipelines.stage import Drop, RowStage

TRANSLATE = """Translate a template of a task: a JSON object with the text of the question, the \
text of the answer, and a list of choices. Names in braces such as {{label}} are places: keep them \
exactly as they are. Keep the number and the order of the choices. Reply with a JSON object with \
the same three keys.

### Template
{template}

### Translate into
{language}"""
PLACE = re.compile(r"\{(\w+)\}")


class Template(BaseModel):
    """How a row becomes a question and its answer; `{column}` is a place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    inputs: str
    targets: str
    choices: tuple[str, ...] = ()
    """Texts of the labels 0, 1, ...: `{choice}` is the one that the column `label` names,
    `{choices}` all of them."""

    def places(self) -> set[str]:
        """Return what question and answer leave open."""
        return {*PLACE.findall(self.inputs), *PLACE.findall(self.targets)}


class Translated(BaseModel):
    """What a reply holds."""

    inputs: str
    targets: str
    choices: list[str]


class Prompted(TypedDict):
    """What it writes."""

    instruction: str
    output: str
    template: str
    prompt_lang: str


class Xp3(RowStage):
    """Make a row per template: rows times templates, none with an open place."""

    codes: ClassVar[frozenset[str]] = REPLY_CODES | {"open_place", "no_choice", "lost_place"}

    templates: tuple[Template, ...] = Field(
        default=(Template(name="same", inputs="{instruction}", targets="{output}"),), min_length=1
    )
    prompt_lang: Literal["en", "own"] = "en"
    """`own` translates every template into a row's language: xP3mt."""
    languages: tuple[tuple[str, str], ...] = ()
    """Names of languages by the codes in `lang`, for whoever translates: [[de, German]]."""
    sampling: Sampling = Sampling(temperature=0.0, max_tokens=1024)
    """A translation is greedy: all rows of a language share it, it is paid for once."""

    def reads(self) -> frozenset[str]:
        """The columns that the templates name."""
        named = set[str]().union(*(template.places() for template in self.templates))
        label = {"label"} if named & {"choice"} else set[str]()
        own = {"lang"} if self.prompt_lang == "own" else set[str]()
        return frozenset(named - {"choice", "choices"} | label | own)

    def needs(self) -> dict[str, Op]:
        """Nobody, unless templates are translated."""
        return {"translator": "generate"} if self.prompt_lang == "own" else {}

    async def __call__(self, row: dict[str, Any], ctx: Context) -> list[Prompted | Drop]:
        """Fill every template; what stands in the row is never read as a place."""
        asks = (self._one(one, row, ctx.branch(i)) for i, one in enumerate(self.templates))
        return await asyncio.gather(*asks)

    async def _one(self, template: Template, row: dict[str, Any], ctx: Context) -> Prompted | Drop:
        lang = (row["lang"] or "en") if self.prompt_lang == "own" else "en"
        if lang != "en":
            told = template.model_dump_json(include={"inputs", "targets", "choices"})
            name = dict(self.languages).get(lang, lang)
            prompt = TRANSLATE.format(template=told, language=name)
            chat = [Message(role="user", content=prompt)]
            found = await fill(ctx.llm("translator"), chat, self.sampling, Translated)
            if isinstance(found, Drop):
                return found
            made = Template(name=template.name, **found[0].model_dump())
            kept = _places(made) == _places(template)
            if not kept or len(made.choices) != len(template.choices):
                return Drop("lost_place", f"{lang}: {json.dumps(found[0].model_dump())}")
            template = made
        said = {**row, "choices": ", ".join(template.choices)}
        if "choice" in template.places():
            label = row["label"]
            if not (isinstance(label, int) and 0 <= label < len(template.choices)):
                return Drop("no_choice", f"{label!r} of {len(template.choices)} choices")
            said["choice"] = template.choices[label]
        if missing := sorted(p for p in template.places() if said.get(p) in (None, "")):
            return Drop("open_place", ", ".join(missing))
        asked, answer = (
            PLACE.sub(lambda found: str(said[found[1]]), text)
            for text in (template.inputs, template.targets)
        )
        return Prompted(instruction=asked, output=answer, template=template.name, prompt_lang=lang)


def _places(template: Template) -> list[list[str]]:
    return [sorted(PLACE.findall(text)) for text in (template.inputs, template.targets)]
