import asyncio
import json
import shutil
from typing import Any

import pytest

from gristmill.engines.planner import beginning
from gristmill.engines.rating import Rate, Rating
from gristmill.engines.reward import Reward
from gristmill.engines.vllm import Vllm
from gristmill.errors import PromptRefused, PromptTooLong, RecipeError

pytestmark = pytest.mark.timeout(900)  # the first one waits for vLLM to start
slow = pytest.mark.slow


@pytest.fixture(scope="session")
def rated(pooled, wait) -> Any:
    """What the real vLLM, in a Ray actor, says of conversations."""

    async def rate(*talks: list[Any]) -> list[Any]:
        calls = (pooled.rate(Rate(messages)) for messages in talks)
        return await asyncio.gather(*calls, return_exceptions=True)

    return lambda *talks: wait(rate(*talks))


def talk(*said: str) -> list[Any]:
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(said)]


@slow
def test_values_are_the_raw_logits_that_transformers_gives(rater, rated) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(rater)
    model: Any = AutoModelForSequenceClassification.from_pretrained(rater).eval()
    answers = ["import inspect", "return x", "raise ValueError(x) from None", "?", "def f(x): pass"]
    wanted = []
    for answer in answers:
        text = f"<|user|>\nimport json<|end|>\n<|assistant|>\n{answer}<|end|>\n"
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            state = model.model(torch.tensor([ids])).last_hidden_state[0, -1]
            value = model.score(state).item()
        wanted.append(Rating(pytest.approx(value, abs=1e-3), len(ids)))
    found = rated(*(talk("import json", answer) for answer in answers))
    assert found == wanted
    values = [one.value for one in found]
    assert max(values) - min(values) > 1, "a sigmoid would give less"


@slow
def test_two_answers_change_places_with_their_values_whoever_is_beside_them(rated) -> None:
    one, other = talk("def f(x):", "return x"), talk("def f(x):", "raise ValueError(x) from None")
    first = [each.value for each in rated(one, other)]
    second = [each.value for each in rated(other, one, one)]
    assert [first[0], first[1], first[0]] == pytest.approx(
        [second[1], second[0], second[2]], abs=1e-4
    )
    assert abs(first[0] - first[1]) > 0.01


@slow
def test_a_conversation_is_read_whole_or_not_at_all(rated) -> None:
    (base,) = rated(talk("a", "b"))
    fits, long = talk("a", "b" * 99), talk("a", "b")
    while not isinstance(found := rated(fits)[0], Rating):
        assert isinstance(found, PromptTooLong)
        fits[1]["content"] = fits[1]["content"][:-1]
    assert base.n_tokens < found.n_tokens == 64
    long[1]["content"] = fits[1]["content"] + " import"
    assert "model reads 64; it is not cut" in str(rated(long)[0])


@slow
def test_what_the_template_does_not_write_is_refused(rated) -> None:
    (found,) = rated([{"role": "system", "content": "Be kind."}, *talk("a", "b")])
    assert isinstance(found, PromptRefused)
    assert "no system" in str(found)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"architectures": ["LlamaForCausalLM"]}, "a LlamaForCausalLM with 1 labels; name a"),
        ({"id2label": None}, "a LlamaForSequenceClassification with 2 labels"),
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, "with 3 labels"),
    ],
)
def test_a_model_without_a_head_for_it_is_refused_before_it_loads(
    change, told, rater, tmp_path
) -> None:
    folder = shutil.copytree(rater, tmp_path / "other")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(RecipeError, match=told):
        Reward(model=str(folder)).check()


def test_it_is_pooled_and_reads_no_more_than_it_was_made_for(rater) -> None:
    asked = {n: Reward(model=str(rater), max_model_len=n).arguments() for n in (64, 4096, None)}
    assert [one["max_model_len"] for one in asked.values()] == [64, 512, 512]
    assert {(one["runner"], one["convert"]) for one in asked.values()} == {("pooling", "classify")}


def test_a_window_longer_than_a_batch_makes_the_batch_longer(rater, tmp_path) -> None:
    folder = shutil.copytree(rater, tmp_path / "long")
    config = json.loads((folder / "config.json").read_text())
    long = {**config, "max_position_embeddings": 40_960, "num_labels": 1}
    del long["id2label"]
    (folder / "config.json").write_text(json.dumps(long))
    for engine in (Reward(model=str(folder), max_model_len=None), Vllm(model=str(folder))):
        assert engine.arguments()["max_num_batched_tokens"] == 40_960
    scaled = {"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}
    (folder / "config.json").write_text(json.dumps(long | scaled))
    assert "max_model_len" not in Reward(model=str(folder), max_model_len=None).arguments()


def test_the_weights_and_the_window_are_in_the_identity(rater, tiny) -> None:
    names = {
        Reward(model=str(m), max_model_len=n).identity for m in (rater, tiny) for n in (64, 99)
    }
    assert len(names) == 4


def test_answers_to_one_prompt_leave_together() -> None:
    first, second = (beginning(Rate(talk("Say why.", answer))) for answer in ("Yes.", "No."))
    assert first == "user\nSay why.\nassistant\nYes."
    assert second.startswith("user\nSay why.\nassistant\n")
