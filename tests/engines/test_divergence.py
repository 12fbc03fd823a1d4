import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gristmill.engines.divergence import Divergence, jensen_shannon
from gristmill.engines.diverging import Diverge, Divergences
from gristmill.errors import InputError, PromptTooLong, RecipeError


def run(engine: Divergence, *requests: Diverge) -> list[Any]:
    async def go() -> list[Any]:
        await engine.start()
        try:
            return await asyncio.gather(*map(engine.diverge, requests), return_exceptions=True)
        finally:
            await engine.stop()

    return asyncio.run(go())


def js(p: list[float], q: list[float]) -> float:
    import torch

    logits = [torch.tensor([probs], dtype=torch.float64).log() for probs in (p, q)]
    return float(jensen_shannon(*logits)[0])


def test_the_worked_numbers_of_the_sheet() -> None:
    assert js([0.5, 0.5, 0.0], [0.0, 0.5, 0.5]) == pytest.approx(0.346574, abs=1e-6)
    assert js([0.0, 0.5, 0.5], [0.5, 0.5, 0.0]) == pytest.approx(0.346574, abs=1e-6)
    assert js([1.0, 0.0], [0.0, 1.0]) == pytest.approx(np.log(2))
    assert js([0.2, 0.8], [0.2, 0.8]) == 0


@pytest.fixture(scope="module")
def moved(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tiny model without the smaller half of the weights of its last head."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("moved")
    model: Any = AutoModelForCausalLM.from_pretrained(tiny)
    with torch.no_grad():
        weight = model.model.layers[-1].mlp.down_proj.weight
        weight[weight.abs() < weight.abs().median()] = 0
        model.model.norm.weight *= 1.5
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(folder)
    return folder


def test_both_models_are_compared_on_every_token_of_the_response(tiny, moved) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(tiny)
    models: list[Any] = [AutoModelForCausalLM.from_pretrained(f).eval() for f in (tiny, moved)]
    said = ["def f(x):", "import json, re, and more"]
    asked = [Diverge("import ", text) for text in said]
    engine = Divergence(model=str(moved), original=str(tiny), batch_tokens=40)
    for text, found in zip(said, run(engine, *asked), strict=True):
        ids = tokenizer("import ")["input_ids"] + tokenizer(text)["input_ids"]
        n = len(tokenizer(text)["input_ids"])
        with torch.no_grad():
            logits = [model(torch.tensor([ids])).logits[0, -n - 1 : -1] for model in models]
        p, q = (each.double().softmax(1).numpy() for each in logits)
        m = (p + q) / 2
        wanted = ((p * np.log(p / m)).sum(1) + (q * np.log(q / m)).sum(1)) / 2
        np.testing.assert_allclose(found.values, wanted, atol=1e-6)
        assert (found.n_response, found.n_context) == (n, len(ids) - n)
        assert min(found.values) > 1e-4
        assert Divergences.unpack(found.pack()) == found


def test_a_model_has_not_moved_from_itself(tiny) -> None:
    engine = Divergence(model=str(tiny), original=str(tiny), max_model_len=16)
    fine, cut, empty, long = run(
        engine,
        Diverge("import ", "re"),
        Diverge("import ", "json " * 30),
        Diverge("import ", ""),
        Diverge("import " * 30, "re"),
    )
    assert max(fine.values) < 1e-9
    assert len(cut.values) == 16 - cut.n_context < cut.n_response
    assert empty.values == []
    assert isinstance(long, PromptTooLong)


def test_both_models_decide_the_identity_and_must_be_there(tiny, moved) -> None:
    one = Divergence(model=str(moved), original=str(tiny))
    assert one.identity != Divergence(model=str(tiny), original=str(moved)).identity
    assert one.identity == Divergence(model=str(moved), original=str(tiny), batch_tokens=9).identity
    assert one.origin()["original"]["pinned"] != one.origin()["pinned"]
    with pytest.raises(InputError, match="cannot be found"):
        Divergence(model=str(tiny), original="/no/such/model").check()


def test_two_vocabularies_cannot_be_compared(tiny) -> None:
    with pytest.raises(RecipeError, match="different vocabularies"):
        run(Divergence(model=str(tiny), original="demo"))
