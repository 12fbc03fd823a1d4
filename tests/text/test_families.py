"""Families of models, by their names."""

import pytest

from gristmill.text.families import families


@pytest.mark.parametrize(
    ("model", "found"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", {"qwen"}),
        ("Qwen/QwQ-32B", {"qwen"}),
        ("meta-llama/Llama-3.1-8B-Instruct", {"llama"}),
        ("/models/CodeLlama-7b-hf/", {"llama"}),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", {"mistral"}),
        ("NousResearch/Hermes-2-Mistral-7B", {"mistral"}),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", {"deepseek", "llama"}),
        ("google/gemma-2-9b-it", {"gemma"}),
        ("gpt-4o-mini", {"gpt"}),
        ("o3-mini", {"gpt"}),
        ("org/foo1-o1x", {"org"}),
        ("./tuned/my-model", {"./tuned/my-model"}),
        ("/a/x/model", {"/a/x/model"}),
        ("Own/Model-7B", {"own"}),
        ("demo", set()),
        ("", set()),
    ],
)
def test_a_name_shows_its_families(model, found) -> None:
    assert families(model) == found
