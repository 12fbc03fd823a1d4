import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from gristmill.engines.rating import Rate, Rating
from gristmill.engines.reward import Reward
from gristmill.errors import PromptTooLong, RecipeError


@pytest.fixture(scope="module")
def rater(tiny, tmp_path_factory) -> Path:
    """A classifier of one label with random weights, and the tokenizer of `tiny`."""
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    folder: Path = tmp_path_factory.mktemp("rater")
    for path in Path(tiny).glob("tokenizer*"):
        shutil.copy(path, folder)
    torch.manual_seed(2)
    config = LlamaConfig.from_pretrained(tiny)
    config.num_labels = 1
    LlamaForSequenceClassification(config).save_pretrained(folder)
    return folder


def talk(*said: str) -> list[Any]:
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(said)]


def rate(engine: Reward, *talks: list[Any]) -> list[Any]:
    async def go() -> list[Any]:
        await engine.start()
        try:
            calls = (engine.rate(Rate(messages)) for messages in talks)
            return await asyncio.gather(*calls, return_exceptions=True)
        finally:
            await engine.stop()

    return asyncio.run(go())


def test_a_value_is_the_raw_logit_at_the_last_token(rater) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(rater)
    model: Any = AutoModelForSequenceClassification.from_pretrained(rater).eval()
    text = "<|user|>\nimport json<|end|>\n<|assistant|>\nimport inspect<|end|>\n"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        state = model.model(torch.tensor([ids])).last_hidden_state[0, -1]
        wanted = float(model.score(state)[0])
    (found,) = rate(Reward(model=str(rater)), talk("import json", "import inspect"))
    assert found == Rating(pytest.approx(wanted, abs=1e-5), len(ids))


def test_two_answers_change_places_with_their_values_whoever_is_beside_them(rater) -> None:
    one, other = talk("def f(x):", "return x"), talk("def f(x):", "raise ValueError(x) from None")
    first = rate(Reward(model=str(rater)), one, other)
    second = rate(Reward(model=str(rater)), other, one, one)
    assert [first[0], first[1], first[0]] == [second[1], second[0], second[2]]
    assert first[0].value != first[1].value


def test_a_long_conversation_is_not_cut(rater) -> None:
    engine = Reward(model=str(rater), max_model_len=20)
    short, long = rate(engine, talk("a", "b"), talk("import json", "import inspect " * 9))
    assert isinstance(long, PromptTooLong)
    assert isinstance(short, Rating)


def test_a_model_without_a_head_for_it_is_refused(tiny) -> None:
    with pytest.raises(RecipeError, match=r"is a LlamaForCausalLM with \d labels; name a"):
        rate(Reward(model=str(tiny)))


def test_the_weights_and_the_window_are_in_the_identity(rater, tiny) -> None:
    names = {
        Reward(model=str(m), max_model_len=n).identity for m in (rater, tiny) for n in (64, 99)
    }
    assert len(names) == 4
