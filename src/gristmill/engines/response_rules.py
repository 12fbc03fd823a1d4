"""Response rules: three rules with which a base model's next words are those of an answer.

Source: Hewitt et al., "Instruction Following without Instruction Tuning", arXiv:2409.14254, section
5: the end grows likelier, a few tokens change evenly, what was said grows less likely.
Differs from the paper: by how much single tokens change is our choice; a token counts where the
model's vocabulary has it whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

END, GROWS, LAST = 15.0, 250, 1024
"""Logits that the end has gained after so many tokens of an answer, and where it is forced."""
SAID = -1.5
"""Logits of every token that the answer has, however often."""
LESS, MORE = -4.0, 1.0
CHANGES = {
    **dict.fromkeys(("<", ">", "|", "I", "We", "What", "should"), LESS),
    **dict.fromkeys(("-", "*", "1", "#", "##", "\n", "!", "\n\n"), MORE),
}
"""Fifteen tokens: marks of pages and words of who goes on asking; lists, headings, lines, cheer."""
RULES: list[Any] = [END, GROWS, LAST, SAID, CHANGES]
"""All that decides which token is next, for the key of an answer."""
NAME = "response_rules"


class Rules(NamedTuple):
    """The rules in ids of one vocabulary."""

    ends: list[int]
    changes: dict[int, float]

    def applied(self, said: Sequence[int], logits: Any) -> Any:
        """Change the logits of a next token in place, (vocabulary,), behind an answer so far."""
        if len(said) >= LAST:
            ends = logits[self.ends].clone()
            logits.fill_(float("-inf"))
            logits[self.ends] = ends
            return logits
        logits[self.ends] += end_bonus(len(said))
        logits[[*self.changes]] += logits.new_tensor([*self.changes.values()])
        if used := [id_ for id_ in {*said} if id_ >= 0]:
            logits[used] += SAID
        return logits


def end_bonus(n: int) -> float:
    """Return what the end gains after n tokens of an answer: 0 at first, at most `END`."""
    return END * min(n, GROWS) / GROWS


def rules_of(tokenizer: Any) -> Rules:
    """Return the rules for a tokenizer: a change counts where one id alone is its text."""
    changes = dict[int, float]()
    for text, change in CHANGES.items():
        for shown in (text, f" {text}"):
            ids = tokenizer.encode(shown, add_special_tokens=False)
            if ids and tokenizer.decode(ids[-1:]).strip(" ") == text:
                changes[ids[-1]] = change
    return Rules([tokenizer.eos_token_id], changes)


def __getattr__(name: str) -> Any:
    """Return the processor of logits that vLLM looks up by name: it imports vLLM, we do not."""
    if name != "ResponseRules":
        raise AttributeError(name)
    from transformers import AutoTokenizer
    from vllm.v1.sample.logits_processor import AdapterLogitsProcessor

    class ResponseRules(AdapterLogitsProcessor):
        """Applies the rules to requests that ask for them."""

        def __init__(self, vllm_config: Any, device: Any, is_pin_memory: bool) -> None:
            super().__init__(vllm_config, device, is_pin_memory)
            model = vllm_config.model_config
            self.rules = rules_of(
                AutoTokenizer.from_pretrained(
                    model.tokenizer,
                    revision=model.tokenizer_revision,
                    trust_remote_code=model.trust_remote_code,
                )
            )

        def is_argmax_invariant(self) -> bool:
            return False

        def new_req_logits_processor(self, params: Any) -> Any:
            return self.rules.applied if (params.extra_args or {}).get(NAME) else None

    return ResponseRules
