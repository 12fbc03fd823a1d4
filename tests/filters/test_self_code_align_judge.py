"""SelfCodeAlign's judge of seeds: what a reply says, and how the worked examples are shown."""

import pytest

from gristmill.engines.requests import Completion
from gristmill.errors import PromptTooLong
from gristmill.filters.self_code_align_judge import SelfCodeAlignJudge, examples
from gristmill.pipelines import Drop
from gristmill.text.python_source import functions

SEED = {"code": 'def twice(x):\n    """Return {x} times two."""\n    return 2 * x\n'}


def judge(ask, script, reply, seed=SEED, rng=0):
    engine = script({"{x} times two": [reply]})
    return ask(SelfCodeAlignJudge(), seed, engine, seed=rng), engine.calls


@pytest.mark.parametrize(
    "reply", ["Yes", " yes, yes", "Yes.", "Yes, no; yes", Completion("Yes", "length", 9, 5)]
)
def test_a_function_with_more_yes_than_no_stays(ask, script, reply) -> None:
    assert judge(ask, script, reply)[0] == {}


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        ("No", "unclear_docstring"),
        ("Yes and no", "unclear_docstring"),
        ("Not yesterday, nor now", "unparsed_judge"),
        (" ", "empty"),
    ],
)
def test_any_other_reply_ends_the_seed_with_its_code(ask, script, reply, code) -> None:
    drop, _ = judge(ask, script, reply)
    assert isinstance(drop, Drop)
    assert drop.code == code
    assert code in SelfCodeAlignJudge.codes


def test_the_model_sees_seven_examples_and_says_one_line_of_five_tokens(ask, script) -> None:
    _, (call,) = judge(ask, script, "Yes")
    assert call.prompt.endswith(
        f"### Example 8\n<code>\n{SEED['code'].strip()}\n</code>\n<enough>\n"
    )
    assert all(
        f"{one['code']}\n</code>\n<enough>\n{one['enough']}\n" in call.prompt for one in examples()
    )
    how = call.sampling
    assert (how.temperature, how.max_tokens, how.stop) == (0.0, 5, ("\n",))
    assert call.schema == '["Yes", "No"]'


def test_examples_that_do_not_fit_the_model_are_halved(ask, script) -> None:
    engine = script({"Example 4": [PromptTooLong("9 > 8")] * 2, "Example 2": ["Yes"]})
    assert ask(SelfCodeAlignJudge(), SEED, engine) == {}
    assert [call.prompt.count("### Example") for call in engine.calls] == [8, 4, 2]


def test_a_function_that_fits_without_any_example_only_is_dropped(ask, script) -> None:
    engine = script({"{x} times two": [PromptTooLong("9 > 8")] * 4})
    assert ask(SelfCodeAlignJudge(), SEED, engine) == Drop("prompt_too_long", "9 > 8")


def test_orders_are_few_and_drawn_by_the_row(ask, script) -> None:
    prompts = [judge(ask, script, "Yes", rng=i)[1][0].prompt for i in range(64)]
    assert 8 < len(set(prompts)) <= 16
    assert judge(ask, script, "Yes", rng=5)[1][0].prompt == prompts[5]


def test_the_worked_examples_are_functions_of_both_kinds() -> None:
    assert sorted(one["enough"] for one in examples()) == ["No"] * 3 + ["Yes"] * 4
    for one in examples():
        (found,) = functions(one["code"] + "\n")
        assert found.why is None, found
