import asyncio
import os
from typing import Any, ClassVar

import numpy as np
import pytest

from gristmill.engines.requests import Embed, Vector
from gristmill.engines.sentence_transformers import Encoder, SentenceTransformers
from gristmill.errors import EngineError

os.environ["HF_HUB_OFFLINE"] = "1"


def embed(engine: SentenceTransformers, *texts: str) -> list[Any]:
    async def go() -> list[Any]:
        await engine.start()
        try:
            return await asyncio.gather(*(engine.embed(Embed(text)) for text in texts))
        finally:
            await engine.stop()

    return asyncio.run(go())


@pytest.fixture(scope="module")
def vectors() -> dict[str, Vector]:
    texts = ["A cat sits.", "A kitten is sitting.", "Compute the tax due.", "", "word " * 400]
    engine = SentenceTransformers(dtype="float32", batch_tokens=300)
    return dict(zip(texts, embed(engine, *texts), strict=True))


def test_batches_agree_with_the_library_one_by_one(vectors) -> None:
    from sentence_transformers import SentenceTransformer

    from gristmill.engines.models import locate

    model = SentenceTransformer(str(locate("minilm")), device="cpu")
    for text, vector in vectors.items():
        wanted = model.encode([text], normalize_embeddings=True)[0]
        np.testing.assert_allclose(vector.values, wanted, atol=1e-5)


def test_vectors_have_unit_length_and_like_texts_are_near(vectors) -> None:
    cat, kitten, tax, empty, _ = (vector.values for vector in vectors.values())
    assert all(abs(float(v.values @ v.values) - 1) < 1e-5 for v in vectors.values())
    assert cat.dtype == np.float32
    assert empty.shape == (384,)
    assert float(cat @ kitten) > 0.5 > float(cat @ tax)


def test_only_a_text_beyond_the_window_says_that_it_was_cut(vectors) -> None:
    assert [vector.cut for vector in vectors.values()] == [False] * 4 + [True]
    assert vectors["word " * 400].n_tokens == 256


def test_a_shorter_window_is_part_of_the_identity() -> None:
    (vector,) = embed(SentenceTransformers(max_tokens=8, dtype="float32"), "one two three " * 5)
    assert (vector.n_tokens, vector.cut) == (8, True)
    names = [SentenceTransformers(max_tokens=8), SentenceTransformers()]
    assert names[0].identity != names[1].identity
    assert SentenceTransformers(batch_tokens=64).identity == names[1].identity


class Broken:
    """A model that gives one vector per value: nonsense for some, fine for the others."""

    tokenizer = type("Tokenizer", (), {"pad_token_id": 0})()
    prompts: ClassVar[dict[str, str]] = {}
    max_seq_length, default_prompt_name, device = 8, None, "cpu"

    def __init__(self, *values: float) -> None:
        self.values = values

    def __call__(self, inputs: Any) -> Any:
        import torch

        return {"sentence_embedding": torch.tensor([[value, value] for value in self.values])}


def test_a_vector_that_is_none_fails_its_row_alone() -> None:
    out = Encoder(Broken(1.0, float("nan"), 0.0, float("inf"), 2.0)).forward([([1, 2], False)] * 5)
    kinds = [type(found) for found in out]
    assert kinds == [Vector, EngineError, EngineError, EngineError, Vector]
    for found in (out[0], out[4]):
        np.testing.assert_allclose(found.values, [0.5**0.5] * 2, atol=1e-6)
