"""Families of models, by their names: judges prefer what models of their own family wrote.

Source: Panickssery et al., "LLM Evaluators Recognize and Favor Their Own Generations",
arXiv:2404.13076.
"""

from __future__ import annotations

import re

NAMES = {
    "claude": ("claude",),
    "cohere": ("command", "aya", "c4ai"),
    "deepseek": ("deepseek",),
    "falcon": ("falcon",),
    "gemma": ("gemma", "gemini", "palm"),
    "glm": ("glm", "chatglm"),
    "gpt": ("gpt", "chatgpt", "davinci", "o1", "o3", "o4"),
    "granite": ("granite",),
    "internlm": ("internlm",),
    "llama": ("llama", "codellama", "vicuna", "alpaca", "tulu"),
    "mistral": ("mistral", "mixtral", "ministral", "codestral", "magistral", "zephyr"),
    "olmo": ("olmo",),
    "phi": ("phi",),
    "qwen": ("qwen", "codeqwen", "qwq", "qvq"),
    "smollm": ("smollm",),
    "yi": ("yi",),
}
"""Words that give a family away. Models tuned from another family's count as that one."""
FAMILY = {word: family for family, words in NAMES.items() for word in words}
WORD = re.compile(r"(?<![a-z])o[134](?![a-z0-9])|[a-z]+")
ON_THE_HUB = re.compile(r"\w[^/]*/[^/]+")
TOYS = frozenset({"demo", ""})
"""Models that show the machinery: they are of no family."""


def families(model: str) -> frozenset[str]:
    """Return the families that a model's name shows: none of a toy, two of a distilled model.

    Without a known one it is the organisation on the Hub, or the name or path itself.

    >>> sorted(families("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"))
    ['deepseek', 'qwen']
    """
    if model in TOYS:
        return frozenset()
    name = model.lower().rstrip("/")
    last = name.rpartition("/")[2]
    found = frozenset(FAMILY[word] for word in WORD.findall(last) if word in FAMILY)
    return found or frozenset({name.partition("/")[0] if ON_THE_HUB.fullmatch(name) else name})
