import asyncio
import shutil
from pathlib import Path

import pytest

from gristmill.engines.client import Client
from gristmill.engines.requests import Generate, Sampling
from gristmill.engines.tokens import Tokens, has_template
from gristmill.engines.vllm import Vllm
from gristmill.errors import EngineError, PromptRefused, RecipeError, RequirementError
from gristmill.storage.answers import Answers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tokens(tiny: Path) -> Tokens:
    return Tokens(tiny)


def test_messages_go_through_the_template_and_text_does_not(tokens: Tokens) -> None:
    ids = tokens.encode([{"role": "user", "content": "Add one."}])
    assert tokens.tokenizer.decode(ids) == "<|user|>\nAdd one.<|end|>\n<|assistant|>\n"
    assert tokens.tokenizer.decode(tokens.encode("def add(")) == "def add("


@pytest.mark.parametrize("text", [" one", "two\n", "é ü", " "])
def test_decoding_gives_back_exactly_what_was_added(tokens: Tokens, text: str) -> None:
    ids = tokens.encode(text)
    assert tokens.decode(tokens.encode("before"), ids) == text
    assert tokens.decode([], [*ids, tokens.tokenizer.eos_token_id]) == text


def test_a_label_is_known_by_both_ways_to_write_it(tokens: Tokens) -> None:
    found = tokens.first_ids(("yes", "no"))
    written = {label: {tokens.encode(label)[0]} for label in ("yes", "no")}
    assert written["yes"] <= set(found["yes"])
    assert not set(found["yes"]) & set(found["no"])


def test_labels_that_begin_alike_are_refused(tokens: Tokens) -> None:
    with pytest.raises(RecipeError, match="'A' and 'A1' begin with the same token"):
        tokens.first_ids(("A", "A1"))


def test_a_model_without_a_template_takes_no_messages(tiny: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny, tmp_path / "plain"))
    settings = folder / "tokenizer_config.json"
    settings.write_text(settings.read_text().replace('"chat_template"', '"unused"'))
    with pytest.raises(RecipeError, match="no chat template"):
        Tokens(folder).encode([{"role": "user", "content": "Hi"}])


@pytest.mark.parametrize("chat", [True, False])
def test_who_has_a_template_is_known_without_loading_the_model(tiny, tmp_path, chat) -> None:
    folder = Path(shutil.copytree(tiny, tmp_path / "some"))
    settings = folder / "tokenizer_config.json"
    if not chat:
        settings.write_text(settings.read_text().replace('"chat_template"', '"unused"'))
    (folder / "model.safetensors").write_bytes(b"nothing that could be loaded")
    assert has_template(str(folder)) is chat is bool(Tokens(folder).template)


def test_a_template_in_a_file_of_its_own_counts_and_an_unread_tokenizer_says_nothing(
    tiny: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny, tmp_path / "some"))
    settings = folder / "tokenizer_config.json"
    settings.write_text(settings.read_text().replace('"chat_template"', '"unused"'))
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    assert has_template(str(folder)) is bool(Tokens(folder).template) is True
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "config.json").write_text("{}")
    assert has_template(str(tmp_path / "none"))


@pytest.mark.parametrize("chat", [False, True])
def test_messages_for_a_model_without_a_template_are_told_before_it_loads(
    tiny, tmp_path, chat
) -> None:
    class Loading(Vllm):
        async def start(self) -> None:
            raise EngineError("it loads")

    folder = Path(shutil.copytree(tiny, tmp_path / "base"))
    settings = folder / "tokenizer_config.json"
    settings.write_text(settings.read_text().replace('"chat_template"', '"unused"'))
    (folder / "model.safetensors").write_bytes(b"nothing that could be loaded")
    answers, engine = Answers(tmp_path / "answers.sqlite"), Loading(model=str(folder))
    asked = Generate([{"role": "user", "content": "x"}] if chat else "x", Sampling(0.0))
    with (
        pytest.raises(RecipeError, match="no chat template")
        if chat
        else pytest.raises(RequirementError, match="it loads")
    ):
        asyncio.run(Client(engine, answers).ask(asked))
    answers.close()


def test_turns_that_the_template_cannot_write_are_refused(tiny: Path) -> None:
    tokens = Tokens(tiny)
    tokens.tokenizer.chat_template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(PromptRefused, match=r"turns of \['system'\]: System role not supported"):
        tokens.encode([{"role": "system", "content": "Be brief."}])


@pytest.mark.parametrize("told", ["[]", '{"tokenizer_class": "None"}', "{"])
def test_a_tokenizer_that_is_broken_is_left_to_its_engine(tmp_path, told) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0", "model": {"type": "none"}}')
    (tmp_path / "tokenizer_config.json").write_text(told)
    assert has_template(str(tmp_path))
