"""Response rules: what the end gains, what changes evenly, and what was said."""

import pytest

from gristmill.engines import response_rules
from gristmill.engines.models import locate
from gristmill.engines.response_rules import CHANGES, LAST, Rules, end_bonus, rules_of
from gristmill.engines.vllm import Vllm

RULES = Rules([0], {1: -4.0, 2: 1.0})


@pytest.mark.parametrize(("n", "bonus"), [(0, 0), (125, 7.5), (249, 14.94), (250, 15), (900, 15)])
def test_the_end_grows_likelier_with_every_token(n, bonus) -> None:
    assert end_bonus(n) == pytest.approx(bonus)


def test_three_rules_change_the_next_token() -> None:
    import torch

    found = RULES.applied([3, 3, -1, *[4] * 122], torch.zeros(6))
    assert found.tolist() == [7.5, -4.0, 1.0, -1.5, -1.5, 0.0], "once, however often it was said"
    assert RULES.applied([], torch.zeros(6)).tolist() == [0.0, -4.0, 1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(("n", "is_forced"), [(LAST - 1, False), (LAST, True)])
def test_the_end_is_forced_at_last(n, is_forced) -> None:
    import torch

    found = RULES.applied([3] * n, torch.zeros(6)).isinf().tolist()
    assert found == [False, *[is_forced] * 5]


def test_tokens_are_looked_up_in_the_vocabulary() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(locate("demo", None)))
    ends, changes = rules_of(tokenizer)
    assert ends == [tokenizer.eos_token_id]
    texts = {tokenizer.decode([id_]).strip(" "): change for id_, change in changes.items()}
    assert (texts["<"], texts["I"], texts["\n"], texts["-"]) == (-4.0, -4.0, 1.0, 1.0)
    assert {*texts} <= {*CHANGES}
    assert len(CHANGES) == 15


def test_an_engine_without_the_rules_is_started_as_ever() -> None:
    plain, ruled = Vllm(model="demo").arguments(), Vllm(model="demo", response_rules=True)
    assert ruled.arguments() == plain | {
        "logits_processors": ["gristmill.engines.response_rules:ResponseRules"]
    }


@pytest.mark.parametrize("at", range(5))
def test_every_figure_of_the_rules_names_its_answers(monkeypatch, at) -> None:
    ruled = Vllm(model="demo", response_rules=True)
    before = ruled.identity
    rules = response_rules.RULES
    monkeypatch.setattr(response_rules, "RULES", [*rules[:at], "another", *rules[at + 1 :]])
    assert ruled.identity != before
