import asyncio
from typing import Any

import pytest

from gristmill.engines.attending import Attend
from gristmill.engines.attention import Attention, places, strongest
from gristmill.errors import PromptRefused


def talk(*said: str) -> list[Any]:
    return [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(said)]


def attend(engine: Attention, *talks: list[Any]) -> list[Any]:
    async def go() -> list[Any]:
        await engine.start()
        try:
            calls = (engine.attend(Attend(messages)) for messages in talks)
            return await asyncio.gather(*calls, return_exceptions=True)
        finally:
            await engine.stop()

    return asyncio.run(go())


def test_the_worked_numbers_of_the_sheet() -> None:
    assert strongest([[0.4, 0.2], [0.8, 0.1]]) == pytest.approx(0.5)


def test_attention_is_what_the_model_itself_reports(tiny) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(tiny)
    model: Any = AutoModelForCausalLM.from_pretrained(tiny, attn_implementation="eager").eval()
    parts = [("<|user|>\n", 0), ("import json", 1), ("<|end|>\n<|assistant|>\n", 0)]
    parts += [("def f(x): return x", 2), ("<|end|>\n", 0)]
    ids = [(id_, kind) for text, kind in parts for id_ in tokenizer(text)["input_ids"]]
    row = torch.tensor([[id_ for id_, _ in ids]])
    with torch.no_grad():
        weights = model(row, output_attentions=True).attentions[1][0]  # int(0.7 * 2 layers)
    user = [i for i, (_, kind) in enumerate(ids) if kind == 1]
    answer = [i for i, (_, kind) in enumerate(ids) if kind == 2]
    wanted = [max(float(head[t, user].sum()) for head in weights) for t in answer]

    (found,) = attend(Attention(model=str(tiny)), talk("import json", "def f(x): return x"))
    assert found.values == [pytest.approx(sum(wanted) / len(wanted), abs=1e-5)]
    assert 0 < found.values[0] < 1
    assert (found.n_tokens, found.cut) == (len(ids), False)


def test_later_turns_change_no_earlier_one_and_are_cut_first(tiny) -> None:
    short, long = talk("import json", "def f(x)"), talk("import json", "def f(x)", "No.", "Yes.")
    first, second = attend(Attention(model=str(tiny)), short, long)
    assert second.values[0] == pytest.approx(first.values[0], abs=1e-5)
    assert len(second.values) == 2
    (cut,) = attend(Attention(model=str(tiny), max_model_len=first.n_tokens), long)
    assert cut.values == [pytest.approx(first.values[0], abs=1e-5), None]
    assert cut.cut


def test_an_answer_that_no_user_asked_for_looks_at_none(tiny) -> None:
    alone = [{"role": "system", "content": "Be brief."}, {"role": "assistant", "content": "Yes."}]
    (found,) = attend(Attention(model=str(tiny)), alone)
    assert found.values == [0.0]


def test_contents_are_found_although_the_template_says_the_same_words() -> None:
    def render(messages: Any, change: Any = str.strip) -> str:
        return "".join(f"<{m['role']}>{change(m['content'])}\n" for m in messages)

    text, spans = places(render, talk("user", "  assistant ", "user"))
    assert [text[a:b] for a, b in spans] == ["user", "assistant", "user"]
    assert [a for a, _ in spans] == [6, 22, 38]
    with pytest.raises(PromptRefused, match="rewrites"):
        places(lambda messages: render(messages, str.upper), talk("a", "b"))
