import asyncio
import importlib
import os
import pickle
import pkgutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import BaseModel

from gristmill import scorers
from gristmill.engines.client import Client
from gristmill.engines.entropies import Entropy
from gristmill.engines.logprobs import Logprobs
from gristmill.engines.named import PACKAGE, _engine_in, modules
from gristmill.engines.remote import Remote
from gristmill.engines.requests import Choice, Completion, Generate, Message, Sampling, Score
from gristmill.engines.schemas import read, written
from gristmill.engines.vllm import Vllm
from gristmill.engines.vllm_start import check_device
from gristmill.errors import (
    EngineRefused,
    InputError,
    PromptTooLong,
    RecipeError,
    RequirementError,
)
from gristmill.pipelines import Context, RowStage
from gristmill.storage.answers import Answers

Wait = Callable[..., Any]
slow = pytest.mark.slow
pytestmark = pytest.mark.timeout(900)  # the first one waits for vLLM to start
HOT = Sampling(1.0, max_tokens=24)
ASK: list[Message] = [{"role": "user", "content": "Write a function."}]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 512}')
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    return str(tmp_path)


def test_the_identity_is_what_decides_answers_and_nothing_else(folder: str) -> None:
    one = Vllm(model=folder)
    for same in [{"replicas": 2}, {"gpu_memory_utilization": 0.5}, {"max_num_seqs": 8}]:
        assert Vllm(model=folder, **same).identity == one.identity
    for other in [
        {"dtype": "bfloat16"},
        {"max_model_len": 64},
        {"kv_cache_dtype": "fp8"},
        {"max_repeats": None},
        {"response_rules": True},
    ]:
        assert Vllm(model=folder, **other).identity != one.identity
    before = one.identity
    (Path(folder) / "tokenizer.json").write_text("other")
    assert Vllm(model=folder).identity != before


def test_it_crosses_processes_before_it_starts(folder: str) -> None:
    engine = Vllm(model=folder)
    assert pickle.loads(pickle.dumps(engine)) == engine


def test_a_missing_model_and_an_impossible_length_are_found_without_loading(folder: str) -> None:
    with pytest.raises(InputError, match="cannot be found"):
        Vllm(model="/no/such/model").check()
    with pytest.raises(RecipeError, match=r"max_model_len=513.*at most 512"):
        Vllm(model=folder, max_model_len=513).check()
    Vllm(model=folder, max_model_len=512).check()


@pytest.mark.parametrize("seen", [None, "7"])
def test_a_gpu_that_is_not_there_is_told_before_anything_loads(monkeypatch, seen) -> None:
    class Platform:
        """What vLLM takes a machine for on which it finds nothing that it was built for."""

        def is_unspecified(self) -> bool:
            return True

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if seen:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    words = r"finds none \(CUDA_VISIBLE_DEVICES is '7'\); run" if seen else "finds none; run"
    with pytest.raises(RequirementError, match=words):
        check_device(Platform())


@slow
def test_the_same_draw_gives_the_same_text_and_others_differ(vllm: Remote, wait: Wait) -> None:
    async def go() -> list[Completion]:
        draws = [11, 2**59 + 12, 2**59 + 13, 14, 11]
        return await asyncio.gather(*(vllm.generate(Generate(ASK, HOT, draw)) for draw in draws))

    first, *others, again = wait(go())
    assert again.text == first.text
    assert len({answer.text for answer in [first, *others]}) == 4


@slow
def test_a_completion_says_how_it_ended_and_what_it_cost(vllm: Remote, wait: Wait) -> None:
    made = wait(vllm.generate(Generate(ASK, HOT, 1)))
    assert made.finish_reason == "length"
    assert (made.prompt_tokens, made.completion_tokens) == (len(made_ids(vllm, ASK)), 24)
    assert made.template
    assert wait(vllm.generate(Generate("def f(", HOT, 1))).template == ""


def made_ids(vllm: Remote, prompt: Any) -> list[int]:
    from gristmill.engines.tokens import Tokens

    assert isinstance(vllm.engine, Vllm)
    return Tokens(vllm.engine.model).encode(prompt)


class Verdict(BaseModel):
    is_good: bool
    word: Literal["red", "green", "blue"]


@slow
def test_a_schema_holds_even_a_model_that_knows_none(vllm: Remote, wait: Wait) -> None:
    long = replace(HOT, max_tokens=200)
    shaped = Generate(ASK, long, 3, written(Verdict))
    made = wait(vllm.generate(shaped))
    assert made.finish_reason == "stop"
    assert isinstance(read(made.text, Verdict), Verdict)
    assert isinstance(read(wait(vllm.generate(replace(shaped, schema=""))).text, Verdict), str)
    one = wait(vllm.generate(Generate(ASK, long, 3, written(("seventeen", "green")))))
    assert one.text in ("seventeen", "green")
    with pytest.raises(EngineRefused, match="vLLM refused a request"):
        wait(vllm.generate(Generate(ASK, HOT, 3, "[]")))


@slow
def test_a_text_that_loops_is_ended(vllm: Remote, wait: Wait) -> None:
    made = wait(vllm.generate(Generate("_" * 150, Sampling(0.0, max_tokens=240))))
    assert made.finish_reason == "repetition"
    assert made.completion_tokens < 240
    assert len(set(made.text[-32:])) == 1


@slow
def test_a_stop_string_ends_the_text_and_is_not_in_it(vllm: Remote, wait: Wait) -> None:
    whole = wait(vllm.generate(Generate(ASK, HOT, 5)))
    stop = whole.text[len(whole.text) // 2 :][:3]
    cut = wait(vllm.generate(Generate(ASK, replace(HOT, stop=(stop,)), 5)))
    assert cut.finish_reason == "stop"
    assert cut.text == whole.text[: whole.text.index(stop)]


@slow
def test_a_prompt_leaves_room_for_one_token_or_is_refused(vllm: Remote, wait: Wait) -> None:
    fits = "a b " * 600
    while len(made_ids(vllm, fits)) > 1023:
        fits = fits[:-1]
    made = wait(vllm.generate(Generate(fits, HOT, 1)))
    assert made.prompt_tokens + made.completion_tokens == 1024
    assert made.finish_reason == "length"
    with pytest.raises(PromptTooLong, match="at most max_model_len - 1 = 1023"):
        wait(vllm.generate(Generate(fits + " a b c d", HOT, 1)))


@slow
def test_a_judgement_is_a_distribution_over_the_labels(vllm: Remote, wait: Wait) -> None:
    probs = wait(vllm.choice(Choice(ASK, ("yes", "no", "?"))))
    assert list(probs.values) == ["yes", "no", "?"]
    assert sum(probs.values.values()) == pytest.approx(1)
    assert 0 < probs.mass < 1
    assert probs == wait(vllm.choice(Choice(ASK, ("yes", "no", "?"))))


@slow
def test_the_engine_is_forked_where_vllm_was_imported_meanwhile(vllm: Remote, wait: Wait) -> None:
    import psutil

    *_, core = wait(vllm.pids())[0]
    server = psutil.Process(core).parent()
    assert server is not None
    assert any("multiprocessing.forkserver" in word for word in server.cmdline())
    assert any("libtorch" in library.path for library in server.memory_maps())


@slow
def test_the_counters_count(vllm: Remote, wait: Wait) -> None:
    before = wait(vllm.metrics())
    made = wait(vllm.generate(Generate(ASK, HOT, 77)))
    after = wait(vllm.metrics())
    written = after["vllm:generation_tokens"] - before.get("vllm:generation_tokens", 0)
    assert written == made.completion_tokens
    assert after["vllm:num_preemptions"] == 0


@slow
def test_a_killed_engine_comes_back_and_every_request_is_answered(
    vllm: Remote, wait: Wait, tmp_path: Path
) -> None:
    import psutil

    async def go() -> list[Any]:
        client = Client(vllm, Answers(tmp_path / "answers"))
        long = replace(HOT, max_tokens=200)
        await client.ask(Generate("first", HOT, 0))
        asked = [asyncio.ensure_future(client.ask(Generate(f"go {i}", long, i))) for i in range(80)]
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        actor, *engine = (await vllm.pids())[0]
        assert sum(task.done() for task in asked) < 80
        os.kill(engine[-1], signal.SIGKILL)
        answers = await asyncio.gather(*asked)
        now = (await vllm.pids())[0]
        assert not set(now) & {actor, *engine}
        assert not any(psutil.pid_exists(pid) for pid in (actor, *engine))
        return answers

    answers = wait(go())
    assert len({key for key, _ in answers}) == 80
    assert all(answer.completion_tokens > 0 for _, answer in answers)


def scoring() -> list[str]:
    """Return the engines that score responses: found by walking the folder."""
    made: dict[str, Any] = {name: _engine_in(name) for name in modules(PACKAGE)}
    own = {name: cls for name, cls in made.items() if cls and not issubclass(cls, Remote)}
    return [name for name, cls in own.items() if "score" in cls.ops]


@slow
def test_engines_that_score_agree_and_no_cache_changes_that(vllm: Remote, wait: Wait) -> None:
    said: list[Message] = [{"role": "user", "content": "Say import, and then def. " * 4}]
    responses = [f"import {'json, ' * (i % 5)}re\ndef f{i}(x): ..." for i in range(32)]
    asked = [Score(said if i % 4 else [], text) for i, text in enumerate(responses)]
    others = {"logprobs": Logprobs(model="demo", max_model_len=1023)}
    assert set(scoring()) == {"vllm", *others}

    async def go(engine: Any, requests: Any, op: str = "score") -> list[Any]:
        await engine.start()
        return await asyncio.gather(*(getattr(engine, op)(request) for request in requests))

    first = wait(go(vllm, asked))
    assert wait(go(vllm, asked)) == first, "the cache of prefixes is warm now"
    for engine in others.values():
        for one, other in zip(first, wait(go(engine, asked)), strict=True):
            assert (one.n_context, one.n_response) == (other.n_context, other.n_response)
            assert one.mean_nll == pytest.approx(other.mean_nll, abs=0.02)
        whole = [Entropy(said, text) for text in responses[:4]]
        exact, found = wait(go(engine, whole, "entropy")), wait(go(vllm, whole, "entropy"))
        for one, other in zip(exact, found, strict=True):
            assert one.n_vocabulary == other.n_vocabulary
            off = np.abs(np.subtract(one.entropies, other.entropies))
            assert (off <= np.array(other.slack) + 1e-3).all()
            assert 0 < max(other.slack) < np.log(one.n_vocabulary) / 2


def reading() -> dict[str, Any]:
    """Return the scorers of a row that need nothing but a model that reads: found by walking."""
    found = {}
    for name in (module.name for module in pkgutil.iter_modules(scorers.__path__)):
        module = importlib.import_module(f"gristmill.scorers.{name}")
        made = (c for c in vars(module).values() if isinstance(c, type))
        own = [c for c in made if issubclass(c, RowStage) and c.__module__ == module.__name__]
        ops = set(own[0]().needs().values()) if own and not _required(own[0]) else set()
        if ops and ops <= {"score", "entropy", "choice"}:
            found[name] = own[0]()
    return found


def alike(one: Any, other: Any) -> bool:
    """Say whether values are equal, numbers to 0.02."""
    if isinstance(one, dict | list):
        items = one.items() if isinstance(one, dict) else enumerate(one)
        return len(one) == len(other) and all(alike(value, other[key]) for key, value in items)
    return one == (pytest.approx(other, rel=0.02, abs=0.02) if isinstance(one, float) else other)


def _required(cls: Any) -> list[str]:
    return [name for name, field in cls.model_fields.items() if field.is_required()]


@slow
def test_every_scorer_gives_by_vllm_what_it_gives_by_a_forward_pass(
    vllm: Remote, wait: Wait, tmp_path: Path
) -> None:
    rows = [
        {"instruction": "import " * (2 + i % 7), "output": f"def f{i}(x):\n" + " x\n" * (i % 5 + 1)}
        for i in range(32)
    ]

    async def go(engine: Any, name: str) -> dict[str, list[dict[str, Any]]]:
        await engine.start()
        answers = Answers(tmp_path / name)
        client, made = Client(engine, answers), {}
        for label, stage in reading().items():
            roles = dict.fromkeys(stage.needs(), client)
            views = ({key: row.get(key) for key in stage.reads()} for row in rows)
            calls = (
                stage(view, Context(roles, 0, label, f"row-{i}")) for i, view in enumerate(views)
            )
            made[label] = await asyncio.gather(*calls)
        answers.close()
        return made

    first = wait(go(vllm, "vllm"))
    second = wait(go(Logprobs(model="demo", max_model_len=1023), "logprobs"))
    assert {"ifd", "ic_ifd", "upd", "perplexity", "dependability"} <= first.keys()
    for name, lines in first.items():
        for one, other in zip(lines, second[name], strict=True):
            if "entropy" in reading()[name].needs().values():  # vLLM knows its bounds
                assert one["low"] - 1e-3 <= other["score"] <= one["high"] + 1e-3
                assert one.pop("flags") == ["entropy_approx"]
                one |= {key: other[key] for key in ("score", "low", "high", "entropy")}
            assert alike(one, other), (name, one, other)
    n_scored = sum(any(isinstance(x, float) for x in lines[0].values()) for lines in first.values())
    assert n_scored >= 5
