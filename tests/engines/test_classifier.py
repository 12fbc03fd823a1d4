import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from gristmill.engines.classifier import Classifier, probabilities
from gristmill.engines.classifying import Classes, Classify
from gristmill.engines.reward import Reward
from gristmill.engines.vllm_model import positions
from gristmill.errors import PromptTooLong, RecipeError

pytestmark = pytest.mark.timeout(900)  # the first one waits for vLLM to start
NAMES = {0: "fine", 1: "insult", 2: "threat"}


class Stage(BaseModel):
    labels: tuple[str, ...] = ()


@pytest.fixture(scope="session")
def classer(tiny, tmp_path_factory) -> Path:
    """A classifier of three labels with random weights."""
    from transformers import LlamaConfig, LlamaForSequenceClassification

    folder: Path = tmp_path_factory.mktemp("classer")
    for path in Path(tiny).glob("tokenizer*"):
        shutil.copy(path, folder)
    config = LlamaConfig.from_pretrained(tiny)
    config.id2label, config.label2id = NAMES, {name: i for i, name in NAMES.items()}
    model = LlamaForSequenceClassification(config)
    model.save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_a_label_gets_the_probability_that_transformers_gives(rater, pooled, wait) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    async def classified(*texts: str) -> list[Any]:
        calls = (pooled.classify(Classify(text)) for text in texts)
        return await asyncio.gather(*calls, return_exceptions=True)

    tokenizer: Any = AutoTokenizer.from_pretrained(rater)
    model: Any = AutoModelForSequenceClassification.from_pretrained(rater).eval()
    texts = ["import inspect", "return x", "raise ValueError(x) from None", "?", "def f(x): pass"]
    wanted = []
    for text in texts:
        ids = tokenizer(text)["input_ids"]
        with torch.no_grad():
            state = model.model(torch.tensor([ids])).last_hidden_state[0, -1]
            share = model.score(state).sigmoid().item()
        near: Any = pytest.approx(share, abs=1e-3)
        wanted.append(Classes({"LABEL_0": near}, len(ids)))
    *found, long = wait(classified(*texts, "def f(x): pass\n" * 40))
    assert found == wanted
    shares = [one.values["LABEL_0"] for one in found]
    assert max(shares) - min(shares) > 0.1
    assert isinstance(long, PromptTooLong)


def test_several_labels_may_hold_where_the_config_says_so() -> None:
    assert probabilities([0.0, 0.0, 1.0], None) == pytest.approx([0.2119, 0.2119, 0.5761], abs=1e-4)
    together = probabilities([0.0, 0.0, 1.0], "single_label_classification")
    assert together == probabilities([0.0, 0.0, 1.0], None)
    alone = probabilities([0.0, 1.0, -1000.0], "multi_label_classification")
    assert alone == pytest.approx([0.5, 0.7311, 0.0], abs=1e-4)
    assert probabilities([1.0], None) == pytest.approx([0.7311], abs=1e-4)
    assert probabilities([1000.0, -1000.0], None) == [1.0, 0.0]


def test_a_label_that_it_does_not_have_is_refused_before_it_loads(classer) -> None:
    engine = Classifier(model=str(classer))
    engine.check()
    engine.accept("stages[1]", Stage(labels=("insult", "threat")))
    with pytest.raises(RecipeError, match=r"stages\[1\]: labels: .* no 'toxic', but \['fine'"):
        engine.accept("stages[1]", Stage(labels=("insult", "toxic")))


def test_a_model_that_writes_is_no_classifier(tiny) -> None:
    with pytest.raises(RecipeError, match=r"engine classifier: .* is a LlamaForCausalLM with"):
        Classifier(model=str(tiny)).check()


def test_a_model_that_gives_numbers_of_another_kind_is_no_classifier(classer, tmp_path) -> None:
    config = json.loads((classer / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "problem_type": "regression"}))
    with pytest.raises(RecipeError, match=r"with 3 labels and regression; name a .* probabilities"):
        Classifier(model=str(tmp_path)).check()


def test_its_answers_are_not_those_of_a_reward_model(classer) -> None:
    same: dict[str, Any] = {"model": str(classer), "max_model_len": 64}
    assert Classifier(**same).identity != Reward(**same).identity


@pytest.mark.parametrize(
    ("padding", "longest"), [({"pad_token_id": 1}, 512), ({"pad_token_id": 3}, 510), ({}, 512)]
)
def test_the_first_places_of_a_roberta_are_not_for_text(tmp_path, padding, longest) -> None:
    config = {"model_type": "xlm-roberta", "max_position_embeddings": 514, **padding}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert positions(tmp_path) == longest


def test_a_roberta_without_a_padding_token_is_refused(tmp_path) -> None:
    config = {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": None}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RecipeError, match=r"config\.json: pad_token_id is None, but the places"):
        positions(tmp_path)
