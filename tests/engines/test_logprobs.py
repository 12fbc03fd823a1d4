import asyncio
import json
import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gristmill.engines.entropies import Entropies, Entropy, bounds
from gristmill.engines.logprobs import Logprobs
from gristmill.engines.reader import NEAR
from gristmill.engines.requests import Choice, LogProbs, Message, Score
from gristmill.errors import PromptRefused, PromptTooLong, RecipeError


def user(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


def run(engine: Logprobs, op: str, *requests: Any) -> list[Any]:
    async def go() -> list[Any]:
        await engine.start()
        try:
            calls = (getattr(engine, op)(request) for request in requests)
            return await asyncio.gather(*calls, return_exceptions=True)
        finally:
            await engine.stop()

    return asyncio.run(go())


def score(engine: Logprobs, *requests: Score) -> list[Any]:
    return run(engine, "score", *requests)


class Slow:
    """One sequence at a time, all logits, nothing batched: what the engine must agree with."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def values(self, context: list[int], response: list[int]) -> list[float]:
        import torch

        with torch.no_grad():
            logits = self.model(torch.tensor([context + response])).logits[0].double()
        logs = torch.log_softmax(logits, 1)
        places = range(len(context), len(context) + len(response))
        return [float(logs[i - 1, (context + response)[i]]) for i in places]


@pytest.fixture(scope="module")
def slow(tiny: Path) -> Slow:
    return Slow(tiny)


def test_batches_of_any_length_agree_with_one_sequence_at_a_time(tiny, slow) -> None:
    pairs = [(f"Say {'no ' * i}more.", f"no {i}" * (1 + 5 * (i % 4))) for i in range(12)]
    answers = score(
        Logprobs(model=str(tiny), batch_tokens=100),
        *(Score(user(context), response) for context, response in pairs),
    )
    for (context, response), answer in zip(pairs, answers, strict=True):
        before = slow.encode(f"<|user|>\n{context}<|end|>\n<|assistant|>\n")
        wanted = slow.values(before, slow.encode(response))
        np.testing.assert_allclose(answer.values, wanted, atol=2e-5)
        assert (answer.n_context, answer.n_response) == (len(before), len(wanted))


def test_an_empty_context_is_the_response_header(tiny, slow) -> None:
    (answer,) = score(Logprobs(model=str(tiny)), Score([], "def f(x):"))
    wanted = slow.values(slow.encode("<|assistant|>\n"), slow.encode("def f(x):"))
    np.testing.assert_allclose(answer.values, wanted, atol=2e-5)


def test_no_merge_crosses_the_boundary(tiny, slow) -> None:
    whole, apart = slow.encode("return self"), slow.encode("ret") + slow.encode("urn self")
    assert whole != apart, "the tokenizer must be able to merge here"
    (answer,) = score(Logprobs(model=str(tiny)), Score("ret", "urn self"))
    assert answer.n_context + answer.n_response == len(apart)


def test_a_bare_response_still_scores_its_first_token(tiny, slow) -> None:
    (answer,) = score(Logprobs(model=str(tiny)), Score("", "return"))
    np.testing.assert_allclose(answer.values, slow.values([0], slow.encode("return")), atol=2e-5)


def test_the_end_token_counts_where_it_is_asked_for(tiny, slow) -> None:
    engine = Logprobs(model=str(tiny), scores_end=True)
    answer, empty = score(engine, Score("", "return"), Score("", ""))
    wanted = slow.values([0], [*slow.encode("return"), slow.tokenizer.eos_token_id])
    np.testing.assert_allclose(answer.values, wanted, atol=2e-5)
    assert (answer.n_response, empty.n_response) == (len(wanted), 0)


def test_the_window_cuts_the_response_and_nothing_else(tiny) -> None:
    engine = Logprobs(model=str(tiny), max_model_len=40)
    text = "import json " * 30
    cut, short, whole = score(
        engine, Score(user("a"), text), Score(user("a"), text[:24]), Score([], "import")
    )
    assert cut.n_context + len(cut.values) == 40
    assert cut.n_response > len(cut.values)
    np.testing.assert_allclose(short.values[:3], cut.values[:3], atol=2e-5)
    assert len(whole.values) == whole.n_response


def test_what_cannot_be_scored_says_so_and_spoils_no_other(tiny) -> None:
    engine = Logprobs(model=str(tiny), max_model_len=40)
    empty, too_long, fine = score(
        engine, Score(user("a"), ""), Score(user("import json " * 90), "x"), Score([], "x")
    )
    assert (empty.values, empty.n_response, empty.mean_nll) == ([], 0, None)
    assert isinstance(too_long, PromptTooLong)
    assert len(fine.values) == 1


def test_a_stored_answer_is_the_answer_bit_by_bit(tiny) -> None:
    (answer,) = score(Logprobs(model=str(tiny)), Score([], "class A: pass"))
    assert LogProbs.unpack(answer.pack()) == answer


def without_template(tiny: Path, folder: Path) -> Path:
    shutil.copytree(tiny, folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    del settings["chat_template"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    return folder


def test_a_model_without_a_template_gets_headings(tiny, slow, tmp_path) -> None:
    bare = without_template(tiny, tmp_path / "bare")
    asked, alone = score(Logprobs(model=str(bare)), Score(user("Add."), "sum"), Score([], "sum"))
    before = slow.encode("### Instruction:\nAdd.\n\n### Response:\n")
    np.testing.assert_allclose(asked.values, slow.values(before, slow.encode("sum")), atol=2e-5)
    assert alone.n_context == len(slow.encode("### Response:\n"))


@pytest.mark.parametrize("template", ["alpaca", "chat"])
def test_a_turn_that_a_template_cannot_write_fails_no_other_row(tiny, tmp_path, template) -> None:
    folder = tmp_path / "strict"
    shutil.copytree(tiny, folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    refuse = (
        "{% if 'tool' in messages|map(attribute='role') %}"
        "{{ raise_exception('roles must alternate') }}{% endif %}"
    )
    settings["chat_template"] = refuse + settings["chat_template"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    odd: Any = [*user("a"), {"role": "tool", "content": "3"}]
    requests = [Score(odd if i == 5 else user(f"q{i}"), "x") for i in range(9)]
    answers = score(Logprobs(model=str(folder), template=template), *requests)
    refused = answers.pop(5)
    assert isinstance(refused, PromptRefused)
    assert re.search("'tool'" if template == "alpaca" else "roles must alternate", str(refused))
    assert [type(answer) for answer in answers] == [LogProbs] * 8


def test_a_template_that_cannot_write_even_one_question_is_an_error(tiny, tmp_path) -> None:
    broken = without_template(tiny, tmp_path / "broken")
    (broken / "chat_template.jinja").write_text("{{ raise_exception('never') }}")
    with pytest.raises(RecipeError, match=r"refuses turns of \['user'\]: never"):
        score(Logprobs(model=str(broken)), Score([], "x"))


def test_plain_text_has_no_header_but_an_anchor(tiny, slow) -> None:
    engine = Logprobs(model=str(tiny), template="plain")
    asked, alone = score(engine, Score(user("Add."), "sum"), Score([], "sum"))
    assert asked.n_context == len(slow.encode("Add.\n"))
    np.testing.assert_allclose(alone.values, slow.values([0], slow.encode("sum")), atol=2e-5)


def test_asking_for_a_template_that_is_not_there_is_an_error(tiny, tmp_path) -> None:
    bare = without_template(tiny, tmp_path / "bare")
    engine = Logprobs(model=str(bare), template="chat")
    with pytest.raises(RecipeError, match="no chat template; set template to 'alpaca'"):
        score(engine, Score([], "x"))


def test_the_identity_names_what_decides_and_not_how_it_is_batched(tiny) -> None:
    def name(**changes: Any) -> str:
        return Logprobs(model=str(tiny), **changes).identity

    assert name() == name(batch_tokens=64) == name(dtype="float32")
    others = [name(dtype="bfloat16"), name(max_model_len=64), name(template="plain")]
    assert len({name(), name(scores_end=True), *others}) == 5


def test_the_loop_is_free_while_the_model_works(tiny) -> None:
    async def go() -> float:
        engine = Logprobs(model=str(tiny))
        await engine.start()
        work = asyncio.gather(*(engine.score(Score([], f"x = {i} " * 80)) for i in range(64)))
        turns = 0
        while not work.done():
            await asyncio.sleep(0)
            turns += 1
        await engine.stop()
        return turns

    assert asyncio.run(go()) > 100


def distributions(slow: Slow, ids: list[int]) -> Any:
    """(tokens, vocabulary) float64: what is predicted after each id."""
    import torch

    with torch.no_grad():
        return slow.model(torch.tensor([ids])).logits[0].double().softmax(1)


def test_entropies_are_those_of_the_whole_vocabulary(tiny, slow) -> None:
    # Together more positions than are held at once, in one batch.
    pairs = [(f"Say {'no ' * i}more.", f"no {i} " * (1 + 30 * i)) for i in range(9)]
    requests = [Entropy(user(context), response) for context, response in pairs]
    answers = run(Logprobs(model=str(tiny), batch_tokens=2**16), "entropy", *requests)
    assert sum(len(answer.values) for answer in answers) > NEAR / 512
    for (context, response), answer in zip(pairs, answers, strict=True):
        before = slow.encode(f"<|user|>\n{context}<|end|>\n<|assistant|>\n")
        ids = slow.encode(response)[: len(answer.values)]
        probs = distributions(slow, before + ids)[len(before) - 1 : -1]
        np.testing.assert_allclose(answer.entropies, -(probs * probs.log()).sum(1), atol=1e-4)
        np.testing.assert_allclose(answer.values, slow.values(before, ids), atol=2e-5)
        assert answer.n_vocabulary == probs.shape[1]
        assert Entropies.unpack(answer.pack()) == answer


def test_an_empty_response_has_no_entropies_and_a_long_context_no_room(tiny) -> None:
    engine = Logprobs(model=str(tiny), max_model_len=40)
    requests = Entropy(user("a"), ""), Entropy(user("import json " * 90), "x")
    empty, too_long = run(engine, "entropy", *requests)
    assert (empty.values, empty.entropies, empty.n_response) == ([], [], 0)
    assert empty.n_vocabulary == 512
    assert isinstance(too_long, PromptTooLong)


def test_a_judgement_is_the_exact_share_of_every_way_to_write_a_label(tiny, slow) -> None:
    prompts = [f"Is {i} a {'very ' * i}large number?" for i in range(8)]
    requests = [Choice(user(prompt), ("yes", "no")) for prompt in prompts]
    for prompt, answer in zip(
        prompts, run(Logprobs(model=str(tiny), batch_tokens=100), "choice", *requests), strict=True
    ):
        ids = slow.encode(f"<|user|>\n{prompt}<|end|>\n<|assistant|>\n")
        probs = distributions(slow, ids)[-1]
        ways = {label: {slow.encode(w)[0] for w in (label, f" {label}")} for label in ("yes", "no")}
        space = slow.encode(" ")[0]
        sums = {label: sum(float(probs[i]) for i in its - {space}) for label, its in ways.items()}
        assert answer.mass == pytest.approx(sum(sums.values()), rel=1e-4)
        assert answer.values["yes"] == pytest.approx(sums["yes"] / sum(sums.values()), rel=1e-4)
        assert answer.n_tokens == len(ids)


def test_a_judge_sees_the_whole_prompt_and_labels_that_differ(tiny) -> None:
    engine = Logprobs(model=str(tiny), max_model_len=40)
    too_long, alike, fine = run(
        engine,
        "choice",
        Choice(user("import json " * 90), ("yes", "no")),
        Choice(user("a"), ("A", "A1")),
        Choice(user("a"), ("yes", "no")),
    )
    assert isinstance(too_long, PromptTooLong)
    assert isinstance(alike, RecipeError)
    assert sum(fine.values.values()) == pytest.approx(1)


def test_the_likeliest_tokens_bound_an_entropy() -> None:
    probs = np.sort(np.random.default_rng(0).dirichlet([0.02] * 1000))[::-1]
    entropy = -sum(p * np.log(p) for p in probs if p)
    between = [bounds(np.log(probs[:k]).tolist(), 1000) for k in (1, 5, 20, 60)]
    assert all(low < entropy < high for low, high in between)
    assert (*between[2], entropy) == pytest.approx((2.8301, 3.8957, 3.3975), abs=1e-4)
    assert all(a[0] < b[0] and a[1] > b[1] for a, b in pairwise(between)), "more tokens, less room"
    assert bounds([np.log(0.5), np.log(0.5)], 2) == pytest.approx((np.log(2), np.log(2)))
    low, high = bounds([np.log(0.6)], 5)
    assert low == pytest.approx(-0.6 * np.log(0.6) - 0.4 * np.log(0.4))
    assert high == pytest.approx(-0.6 * np.log(0.6) - 0.4 * np.log(0.1))


def test_what_bounds_an_entropy_is_stored_too() -> None:
    for slack in ([], [0.25, 0.5]):
        made = Entropies([-1.0, -2.0], [1.5, 0.5], 9, 3, 4, slack)
        assert Entropies.unpack(made.pack()) == made
