"""The quick way through a Llama against transformers, and which models have none."""

from typing import Any

import pytest

from gristmill.engines.plain_llama import LOOKED_UP, plain_llama


def llama(**changes: Any) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    small = {
        "vocab_size": 97,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "max_position_embeddings": 64,
    }
    model: Any = LlamaForCausalLM(LlamaConfig(**small | changes)).eval()
    for name, weight in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(weight, 0.5, 2)
    return model


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_key_value_heads": 2},
        {"num_key_value_heads": 1, "head_dim": 16, "tie_word_embeddings": True},
        {"num_hidden_layers": 1, "rms_norm_eps": 0.1},
    ],
)
def test_the_logits_are_those_of_transformers(changes) -> None:
    import torch

    model = llama(**changes)
    quick = plain_llama(model, 64)
    assert quick
    ids = torch.randint(97, (3, 40))
    rows, places = torch.tensor([0, 0, 2, 1]), torch.tensor([0, 39, 17, 5])
    with torch.inference_mode():
        wanted = model(input_ids=ids).logits[rows, places]
        found = quick.logits(quick(ids, rows, places))
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "changes",
    [
        {"attention_bias": True},
        {"mlp_bias": True},
        {"hidden_act": "gelu"},
        {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}},
    ],
)
def test_what_is_no_plain_llama_is_left_to_transformers(changes) -> None:
    assert plain_llama(llama(**changes), 64) is None


def test_a_model_that_does_something_else_with_its_weights_is_found_out() -> None:
    model = llama()
    model.model.norm.register_forward_hook(lambda norm, inputs, output: output * 1.01)
    assert plain_llama(model, 64) is None
    assert plain_llama(llama().bfloat16(), 64) is None


def test_a_config_that_tells_no_turning_is_left_to_transformers() -> None:
    model = llama()
    del model.config.rope_parameters  # as in transformers 4
    assert plain_llama(model, 64) is None


def test_a_large_vocabulary_is_not_looked_up_and_gives_the_same() -> None:
    import torch

    model, ids = llama(), torch.tensor([[5, 96, 0, 31]])
    rows, places = torch.zeros(4, dtype=torch.long), torch.arange(4)
    quick = plain_llama(model, 64)
    large = plain_llama(llama(vocab_size=LOOKED_UP // 96 + 1), 64)
    assert quick
    assert large
    assert large.first is None
    assert quick.first is not None
    with torch.inference_mode():
        known = quick(ids, rows, places)
        quick.first = None
        torch.testing.assert_close(quick(ids, rows, places), known)
