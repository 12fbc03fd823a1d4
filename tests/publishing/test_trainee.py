"""Token lengths, packing and the chat template of a trainee, with worked numbers."""

import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from gristmill import Recipe, run
from gristmill.publishing import card, report, trainee
from gristmill.publishing.files import RunFiles
from tests.formats.test_exports import BOTH, TOOLED

WHOLE = (
    "{% for m in messages %}<u> {{ m.content }} </s>{% endfor %}"
    "{% if add_generation_prompt %}<u>{% endif %}"
)


def tokenizer(template: str | None, limit: int = 1024) -> PreTrainedTokenizerFast:
    """Words are tokens."""
    made = Tokenizer(models.WordLevel({"[UNK]": 0, "<u>": 1, "</s>": 2}, "[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    found = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="</s>", model_max_length=limit)
    found.chat_template = template
    return found


def test_lengths_are_packed_best_fit_longest_first() -> None:
    assert trainee.packs([6, 5, 4, 3, 2], 10) == 2  # 6+4 and 5+3+2
    assert trainee.packs([6, 6, 6], 10) == 3
    assert trainee.packs([10, 1], 10) == 2
    assert trainee.packs([], 10) == 0
    first, second = trainee.packing([600, 500, 100], 4096)
    assert (first["size"], first["cut"], first["packs"]) == (512, 1, 3)
    assert first["alone"] == (512 + 500 + 100) / (3 * 512)
    assert (second["size"], second["cut"], second["packs"]) == (1024, 0, 2)
    assert second["packed"] == 1200 / 2048
    assert [at["size"] for at in trainee.packing([5000], 1024)] == [512, 1024]


def test_a_whole_template_finds_nothing_and_card_and_report_show_it(finished) -> None:
    path = finished()
    told = trainee.measure(RunFiles.open(path), tokenizer(WHOLE), "tiny")
    assert told["found"] == {}
    assert (told["rows"], len(told["lengths"])) == (len(RunFiles.open(path).kept),) * 2
    card.write(path)
    text = (path / "dataset" / "README.md").read_text()
    assert "Measured with the tokenizer of `tiny`" in text
    assert "| 512 | 0 |" in text
    assert "tokens by tiny" in report.write(path).read_text()
    told["of"] = "another dataset"
    (path / trainee.FILE).write_text(json.dumps(told))
    assert "Measured with" not in card.render(RunFiles.open(path))


@pytest.mark.parametrize(
    ("template", "what"),
    [
        (None, trainee.NO_TEMPLATE),
        (WHOLE.replace("</s>", ""), trainee.NO_END),
        (WHOLE.replace("m.content", "m.content[:9]"), trainee.LOST),
        (WHOLE.replace("<u>{% endif", "<v>{% endif"), trainee.OTHER_START),
        ("{{ messages[0].content.nothing() }}", trainee.REFUSED),
    ],
)
def test_what_a_template_does_to_rows_is_counted(template, what, finished) -> None:
    files = RunFiles.open(finished())
    found = trainee.measure(files, tokenizer(template), "tiny")["found"]
    assert {name.partition(" (")[0] for name in found} == {what}
    assert sum(found.values()) == len(files.kept)
    assert what.lower() in card.render(files).lower()


CALLING = (
    "{% for t in tools or [] %}<t> {{ t.function.name }} {% endfor %}"
    "{% for m in messages %}<u> {{ m.content or '' }} "
    "{% for c in m.tool_calls or [] %}{{ c.function.name }} {{ c.function.arguments }} {% endfor %}"
    "</s>{% endfor %}{% if add_generation_prompt %}<u>{% endif %}"
)


@pytest.mark.parametrize(
    ("template", "tokens", "found"),
    [
        (CALLING, 22, []),
        (CALLING.replace("m.content or ''", "m.content"), 23, [trainee.NONE]),
        (WHOLE, 18, [trainee.LOST, trainee.NONE]),
        (None, 18, [trainee.NO_TEMPLATE]),
    ],
)
def test_calls_of_tools_and_the_tools_are_read_too(template, tokens, found, tmp_path) -> None:
    tools = [{"type": "function", "function": {"name": "area", "parameters": {}}}]
    row = {"messages": json.loads(json.dumps(TOOLED).replace('"f"', '"area"')), "tools": tools}
    recipe = Recipe(name="calls", stages=[{"use": "filters.length", "min_chars": 1}])
    files = RunFiles.open(run(recipe, [row], workspace=tmp_path).path)
    told = trainee.measure(files, tokenizer(template), "tiny")
    assert (told["lengths"], [*told["found"]]) == ([tokens], found)


ONE_CALL = CALLING.replace("{% for m in messages %}", (
    "{% for m in messages %}{% if (m.tool_calls or [])|length > 1 %}"
    "{{ raise_exception('one call at once') }}{% endif %}"
))  # fmt: skip
FIRST_CALL = CALLING.replace("m.tool_calls or []", "(m.tool_calls or [])[:1]")


@pytest.mark.parametrize("template", [ONE_CALL, FIRST_CALL])
def test_a_template_for_one_call_a_turn_is_told_with_what_helps(template, tmp_path) -> None:
    def found(calls: str) -> list[str]:
        stages = [{"use": "filters.length", "min_chars": 1}]
        recipe = Recipe(name="calls", stages=stages, export={"calls": calls})
        files = RunFiles.open(run(recipe, [{"messages": BOTH}], workspace=tmp_path / calls).path)
        return [*trainee.measure(files, tokenizer(template), "tiny")["found"]]

    assert found("together") == [trainee.SEVERAL]
    assert found("one_by_one") == []
