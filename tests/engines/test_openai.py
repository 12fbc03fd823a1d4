import asyncio
import json
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
from pydantic import BaseModel, PrivateAttr, ValidationError, field_validator

from gristmill.engines.client import Client
from gristmill.engines.named import build_engines
from gristmill.engines.openai import OpenAI
from gristmill.engines.requests import Choice, Completion, Generate, Message, Sampling
from gristmill.engines.seeing import See
from gristmill.errors import (
    EngineError,
    EngineRefused,
    PromptRefused,
    PromptTooLong,
    RequirementError,
    UsageError,
)
from gristmill.generators.responses import Responses
from gristmill.pipelines import Context
from gristmill.pipelines.replies import complete, fill
from gristmill.storage.answers import Answers

ASK: list[Message] = [{"role": "user", "content": "Hi"}]
HOT = Sampling(0.7, max_tokens=9, stop=("END",))
USED = {"prompt_tokens": 3, "completion_tokens": 2}
Handle = Callable[[dict[str, Any], httpx.Request], Any]


def chat(text: str, reason: str = "stop", **more: Any) -> dict[str, Any]:
    made = {"message": {"content": text}, "finish_reason": reason, **more}
    return {"model": "served", "choices": [made], "usage": USED}


@pytest.fixture
def using() -> Callable[..., Any]:
    """Ask an engine whose server is a function; return the answer and what the server got."""

    def use(
        handle: Handle, request: Any, models: httpx.Response | None = None, **changes: Any
    ) -> tuple[Any, list[httpx.Request]]:
        got: list[httpx.Request] = []

        def serve(asked: httpx.Request) -> httpx.Response:
            if asked.url.path.endswith("/models"):
                return models or httpx.Response(404)
            got.append(asked)
            made = handle(json.loads(asked.content), asked)
            return made if isinstance(made, httpx.Response) else httpx.Response(200, json=made)

        async def go() -> Any:
            engine = OpenAI(model="m", backoff_s=0, **changes)
            engine._transport = httpx.MockTransport(serve)
            try:
                return await getattr(engine, request.op)(request)
            finally:
                await engine.stop()

        return asyncio.run(go()), got

    return use


def test_images_go_to_chat_as_parts(using: Any) -> None:
    request = See(ASK, HOT, 5, images=("data:image/png;base64,QQ==",))
    answer, [asked] = using(lambda body, _: chat("A tree."), request)
    (message,) = json.loads(asked.content)["messages"]
    assert [part["type"] for part in message["content"]] == ["image_url", "text"]
    assert message["content"][0]["image_url"]["url"] == request.images[0]
    assert (answer.text, message["content"][1]["text"]) == ("A tree.", "Hi")


def test_messages_go_to_chat_with_all_of_the_sampling(using: Any) -> None:
    answer, [asked] = using(lambda body, _: chat("Hello."), Generate(ASK, HOT, 2**40 + 5))
    assert asked.url == "http://127.0.0.1:8000/v1/chat/completions"
    assert json.loads(asked.content) == {
        "model": "m",
        "messages": ASK,
        "temperature": 0.7,
        "top_p": 1.0,
        "max_tokens": 9,
        "stop": ["END"],
        "seed": 5,
    }
    assert (answer.text, answer.finish_reason, answer.tokens) == ("Hello.", "stop", 5)
    assert answer.model == "served"


def test_text_is_continued(using: Any) -> None:
    reply = {"choices": [{"text": " b", "finish_reason": "length"}], "usage": USED}
    answer, [asked] = using(lambda *_: reply, Generate("a", Sampling(0.0)))
    assert asked.url.path == "/v1/completions"
    assert json.loads(asked.content)["prompt"] == "a"
    assert "seed" not in json.loads(asked.content)
    assert (answer.text, answer.finish_reason) == (" b", "length")


def test_a_schema_goes_along_and_a_choice_comes_back_alone(using: Any) -> None:
    shape = {"type": "object", "properties": {"n": {"type": "integer"}}}
    answer, [asked] = using(
        lambda *_: chat('{"n": 1}'), Generate(ASK, HOT, schema=json.dumps(shape))
    )
    told = json.loads(asked.content)["response_format"]
    assert told == {
        "type": "json_schema",
        "json_schema": {"name": "reply", "strict": False, "schema": shape},
    }
    assert answer.text == '{"n": 1}'
    answer, _ = using(lambda *_: chat('{"choice": "no"}'), Generate(ASK, HOT, schema='["a", "no"]'))
    assert answer.text == "no"


@pytest.mark.parametrize(
    "said", ["'response_format' of type 'json_schema' is not supported", "Invalid grammar"]
)
def test_a_server_that_takes_no_schema_ends_the_run_unless_the_recipe_says_so(
    using: Any, said: str
) -> None:
    def refuse(body: dict[str, Any], _: httpx.Request) -> Any:
        return httpx.Response(400, text=said) if "response_format" in body else chat("{}")

    shaped = Generate(ASK, HOT, schema="{}")
    with pytest.raises(RequirementError, match=rf"{said}.*set response_format=false"):
        using(refuse, shaped)
    answer, _ = using(refuse, shaped, response_format=False)
    assert answer.text == "{}"
    assert OpenAI(model="m", response_format=False).identity != OpenAI(model="m").identity


def test_a_refusal_of_the_prompt_itself_fails_its_row_alone_whatever_it_says(using: Any) -> None:
    for said in ("top_p of 7", "the grammar of this prompt is against our rules"):
        with pytest.raises(EngineRefused, match=said):
            using(
                lambda *_, said=said: httpx.Response(400, text=said),
                Generate(ASK, HOT, schema="{}"),
            )


def test_a_server_that_held_a_reply_to_the_schema_refuses_rows_not_the_run() -> None:
    engine = OpenAI(model="m")
    replies = iter([chat("{}"), httpx.Response(400, text="this schema again?"), chat("{}")])

    async def go() -> Any:
        def serve(asked: httpx.Request) -> httpx.Response:
            if asked.url.path.endswith("/models"):
                return httpx.Response(404)
            made = next(replies)
            return made if isinstance(made, httpx.Response) else httpx.Response(200, json=made)

        engine._transport = httpx.MockTransport(serve)
        await engine.generate(Generate(ASK, HOT, schema="{}"))
        with pytest.raises(EngineRefused, match="this schema again"):
            await engine.generate(Generate(ASK, HOT, 2, schema="{}"))
        await engine.stop()

    asyncio.run(go())


@pytest.mark.parametrize("status", [200, 429, 500, 503])
def test_a_busy_server_is_asked_again(using: Any, status: int) -> None:
    replies = iter([httpx.Response(status), httpx.Response(status), chat("now")])
    answer, got = using(lambda *_: next(replies), Generate(ASK, HOT))
    assert (answer.text, len(got)) == ("now", 3)


def test_a_server_that_stays_away_fails_after_its_attempts(using: Any) -> None:
    asked = []

    def refuse(body: dict[str, Any], request: httpx.Request) -> None:
        asked.append(1)
        raise httpx.ConnectError("refused")

    with pytest.raises(EngineError, match="did not answer in 3 attempts: ConnectError refused"):
        using(refuse, Generate(ASK, HOT), attempts=3)
    assert len(asked) == 3


def test_a_server_that_says_nothing_is_told_once_and_by_the_name_of_its_limit(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(404)
        raise httpx.ReadTimeout("", request=request)

    engine = OpenAI(model="m", backoff_s=0, attempts=3, timeout_s=7)
    engine._transport = httpx.MockTransport(silent)

    async def go() -> list[Any]:
        try:
            asked = (engine.generate(Generate(ASK, HOT)) for _ in range(3))
            return await asyncio.gather(*asked, return_exceptions=True)
        finally:
            await engine.stop()

    for error in asyncio.run(go()):
        assert "in 3 attempts: it took the request and said nothing for timeout_s=7" in str(error)
    [told] = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert "posts=1 of=3 why=it took the request" in told


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(503),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"choices": "none"}),
        httpx.Response(200, json={"choices": []}),
    ],
)
def test_no_reply_is_posted_for_more_often_than_attempts_say(
    reply: httpx.Response, tmp_path: Path
) -> None:
    posts = []

    def serve(asked: httpx.Request) -> httpx.Response:
        posts.append(asked.method)
        return reply

    engine, answers = OpenAI(model="m", backoff_s=0, attempts=4), Answers(tmp_path / "a.sqlite")
    engine._transport = httpx.MockTransport(serve)

    async def go() -> None:
        try:
            await Client(engine, answers).ask(Generate(ASK, HOT))
        finally:
            await engine.stop()

    with pytest.raises(EngineError, match=r"did not answer in 4 attempts|without choices"):
        asyncio.run(go())
    answers.close()
    assert posts.count("POST") <= 4


@pytest.mark.parametrize(
    "said", ["This model's maximum context length is 8 tokens", "context_length_exceeded"]
)
def test_a_prompt_that_does_not_fit_is_not_asked_again(using: Any, said: str) -> None:
    reply = httpx.Response(400, json={"error": {"message": said}})
    with pytest.raises(PromptTooLong, match="refused the prompt"):
        using(lambda *_: reply, Generate(ASK, HOT))


@pytest.mark.parametrize(
    "said",
    ["System role not supported", "Conversation roles must alternate user/assistant/user/..."],
)
def test_turns_that_a_servers_template_cannot_write_are_refused(using: Any, said: str) -> None:
    reply = httpx.Response(400, json={"error": {"message": said}})
    with pytest.raises(PromptRefused, match="refused the conversation"):
        using(lambda *_: reply, Generate(ASK, HOT))


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (httpx.Response(400, text="unknown field"), "answered 400: unknown field"),
        (httpx.Response(400, text="top_p of 7"), r"answered 400: top_p of 7"),
        (
            httpx.Response(
                400,
                text="default chat template is no longer allowed, so you must "
                "provide a chat template if the tokenizer does not define one.",
            ),
            "answered 400: default chat template is no longer allowed",
        ),
        (
            httpx.Response(
                400,
                text="Cannot use chat template functions because "
                "tokenizer.chat_template is not set",
            ),
            "answered 400: Cannot use chat template functions",
        ),
        (httpx.Response(200, text="<html>"), "no JSON object"),
        (httpx.Response(200, content=b"\x93\xff half a picture"), "no JSON object"),
        (httpx.Response(200, content=b"[" * 100_000), "no JSON object"),
        (httpx.Response(200, text='["choices"]'), "no JSON object"),
        ({"choices": [None]}, r"another form: choices\.0"),
        (
            {"choices": [{"message": "Hi", "finish_reason": "stop"}]},
            r"another form: choices\.0\.message",
        ),
        (chat(["Hi"]), r"another form: choices\.0\.message\.content"),  # type: ignore[arg-type]
        (chat("Hi") | {"usage": {"prompt_tokens": "some"}}, "another form: usage.prompt_tokens"),
        ({"choices": []}, "without choices"),
        (chat("x", "abort"), "ended an answer by 'abort'"),
        (chat("x", "error"), "by 'error'"),
        (chat("x", "surprise"), r"by 'surprise', which is none of \['stop', 'length'"),
    ],
)
def test_an_answer_that_is_none_is_an_engine_error(using: Any, reply: Any, words: str) -> None:
    with pytest.raises(EngineError, match=words) as caught:
        using(lambda *_: reply, Generate(ASK, HOT))
    again = ("no JSON", "another form", "without choices", "'abort'", "'error'")
    assert isinstance(caught.value, EngineRefused) is not any(part in words for part in again)


FILTERED = {"error": {"code": "content_filter", "message": "The prompt was filtered."}}


@pytest.mark.parametrize(
    ("reply", "end"),
    [
        (chat("half", "content_filter"), ("half", "content_filter")),
        ({"choices": [{"finish_reason": "content_filter"}]}, ("", "content_filter")),
        (httpx.Response(400, json=FILTERED), ("", "content_filter")),
        (chat("", "tool_calls"), ("", "tool_calls")),
        (chat("", "function_call"), ("", "tool_calls")),
        (chat("a a a", "repetition"), ("a a a", "repetition")),
    ],
)
def test_an_end_that_asking_again_would_not_change_is_an_answer(
    using: Any, reply: Any, end: tuple[str, str]
) -> None:
    answer, got = using(lambda *_: reply, Generate(ASK, HOT))
    assert (answer.text, answer.finish_reason, len(got)) == (*end, 1)
    assert Completion.unpack(answer.pack()) == answer


def test_a_judge_whose_prompt_is_filtered_is_not_asked_again(using: Any) -> None:
    with pytest.raises(EngineRefused, match="filtered the prompt"):
        using(lambda *_: chat("", "content_filter"), Choice(ASK, ("yes", "no")))


def test_a_choice_adds_up_the_ways_to_write_a_label(using: Any) -> None:
    found = {"yes": 0.3, " yes": 0.1, "no": 0.2, "maybe": 0.4}
    tops = [{"token": token, "logprob": math.log(p)} for token, p in found.items()]
    reply = chat("yes", "length", logprobs={"content": [{"top_logprobs": tops}]})
    answer, [asked] = using(lambda *_: reply, Choice(ASK, ("yes", "no")))
    assert json.loads(asked.content)["max_tokens"] == 1
    assert answer.values == pytest.approx({"yes": 2 / 3, "no": 1 / 3})
    assert answer.mass == pytest.approx(0.6)


def test_a_choice_without_any_label_is_no_answer(using: Any) -> None:
    tops = [{"token": "hm", "logprob": 0.0}]
    reply = chat("hm", "length", logprobs={"content": [{"top_logprobs": tops}]})
    with pytest.raises(EngineError, match=r"likeliest are \['hm'\]"):
        using(lambda *_: reply, Choice(ASK, ("yes", "no")))


@pytest.mark.parametrize(
    "given",
    [
        "none",
        {"content": []},
        {"content": [{}]},
        {"content": [{"top_logprobs": [{"token": "yes"}]}]},
        {"content": [{"top_logprobs": [{"token": "yes", "logprob": "NaN"}]}]},
        {"content": [{"top_logprobs": [{"token": "yes", "logprob": 1000.0}]}]},
    ],
)
def test_logprobs_that_are_none_are_no_judgement(using: Any, given: Any) -> None:
    with pytest.raises(EngineError, match="logprobs of another form"):
        using(lambda *_: chat("yes", logprobs=given), Choice(ASK, ("yes", "no")))
    made = {"choices": [{"text": "yes", "logprobs": {"top_logprobs": [given]}}]}
    with pytest.raises(EngineError, match="logprobs of another form"):
        using(lambda *_: made, Choice("Is it?", ("yes", "no")))


def test_the_key_is_sent_and_shown_nowhere(
    using: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SECRET_NAME", "s3cr3t")
    engine = OpenAI(model="m", api_key_env="SECRET_NAME")
    monkeypatch.setenv("SECRET_NAME", "other")
    assert engine.identity == OpenAI(model="m").identity
    monkeypatch.setenv("SECRET_NAME", "s3cr3t")
    reply = httpx.Response(500, text="busy")
    with caplog.at_level("DEBUG"), pytest.raises(EngineError) as caught:
        using(lambda *_: reply, Generate(ASK, HOT), api_key_env="SECRET_NAME", attempts=1)
    _, [asked] = using(lambda *_: chat("x"), Generate(ASK, HOT), api_key_env="SECRET_NAME")
    assert asked.headers["authorization"] == "Bearer s3cr3t"
    shown = f"{engine!r} {engine.model_dump_json()} {caught.value} {caplog.text}"
    assert "s3cr3t" not in shown


@pytest.mark.parametrize(
    ("models", "error", "words"),
    [
        (httpx.Response(401), RequirementError, "answered 401: it wants a key; set api_key_env"),
        (httpx.Response(200, json={"data": [{"id": "mm"}]}), EngineError, r"mean \['mm'\]"),
    ],
)
def test_a_server_that_cannot_serve_ends_the_run_at_its_start(
    using: Any, models: httpx.Response, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        using(lambda *_: chat("never asked"), Generate(ASK, HOT), models=models)
    answer, _ = using(
        lambda *_: chat("yes"),
        Generate(ASK, HOT),
        models=httpx.Response(200, json={"data": [{"id": "m"}]}),
    )
    assert answer.text == "yes"


def test_a_key_that_is_refused_in_mid_run_ends_the_run(using: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    with pytest.raises(RequirementError, match="the key in SOME_KEY is refused") as refused:
        using(lambda *_: httpx.Response(403), Generate(ASK, HOT), api_key_env="SOME_KEY")
    assert "sk-secret" not in str(refused.value)


@pytest.mark.parametrize("status", [200, 400, 404])
def test_a_server_that_repeats_the_key_is_not_quoted_with_it(
    using: Any, monkeypatch: Any, status: int
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    reply = httpx.Response(status, json={"error": "Received API key = sk-secret, not valid"})
    with pytest.raises(EngineError, match=r"Received API key = \*\*\*, not valid") as refused:
        using(lambda *_: reply, Generate(ASK, HOT), api_key_env="SOME_KEY", attempts=1)
    assert "sk-secret" not in str(refused.value)


def test_a_missing_key_and_a_key_in_the_address_are_refused() -> None:
    with pytest.raises(RequirementError, match="the variable that api_key_env names is not set"):
        OpenAI(model="m", api_key_env="NO_SUCH_KEY").check()
    with pytest.raises(ValidationError, match="without a user and password"):
        OpenAI(model="m", base_url="http://user:pass@host/v1")


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_key_env": "sk-proj-secret"},
        {"api_key_env": "hf_secret"},  # a key that could be a name
        {"api_key_env": "1secret"},
        {"api_key_env": ["secret"]},
        {"base_url": "http://user:secret@host/v1"},
        {"base_url": "secret"},
    ],
    ids=str,
)
def test_a_key_in_the_wrong_place_is_not_shown(wrong: dict[str, Any]) -> None:
    entry = {"use": "openai", "model": "m", **wrong}
    with pytest.raises(UsageError) as caught:
        build_engines("x", {"generator": entry})["generator"].check()
    assert next(iter(wrong)) in str(caught.value)
    assert "secret" not in str(caught.value)
    with pytest.raises((ValidationError, RequirementError)) as direct:
        OpenAI(model="m", **wrong).check()
    assert "secret" not in str(direct.value)


@pytest.fixture(scope="module")
def server(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real `vllm serve` on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("server") / "log").open("w")
    options = ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", "tiny"]
    options += ["--max-model-len", "256", "--max-num-seqs", "16", "--enforce-eager"]
    # Random weights would fill an answer with the white space that a schema leaves open.
    tight = {"backend": "xgrammar", "disable_any_whitespace": True}
    options += ["--structured-outputs-config", json.dumps(tight)]
    quiet = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_CPU_KVCACHE_SPACE": "1"}
    process = subprocess.Popen(
        # What `vllm serve` runs; that command itself asks for a package named vllm, not vllm-cpu.
        [
            sys.executable,
            "-m",
            "vllm.entrypoints.openai.api_server",
            "--model",
            str(tiny),
            *options,
        ],
        env={**os.environ, **quiet},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        for _ in range(800):
            if process.poll() is not None:
                pytest.fail(f"vllm serve ended: {Path(log.name).read_text()[-2000:]}")
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).is_success:
                    break
            except httpx.HTTPError:
                time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(60)
        log.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_real_vllm_server_answers_refuses_and_judges(server: str) -> None:
    async def go() -> Any:
        engine = OpenAI(model="tiny", base_url=server)
        asked = [
            engine.generate(Generate(ASK, Sampling(1.0, max_tokens=8), draw)) for draw in (1, 2, 1)
        ]
        chats = await asyncio.gather(*asked)
        text = await engine.generate(Generate("def f(", Sampling(0.0, max_tokens=8)))
        with pytest.raises(PromptTooLong):
            await engine.generate(Generate("a b " * 400, Sampling(0.0, max_tokens=8)))
        probs: list[Any] = []
        for prompt in (ASK, "Yes or no? "):
            try:
                probs.append(await engine.choice(Choice(prompt, tuple("abcdefghijklm"))))
            except EngineError as error:
                probs.append(error)
        await engine.stop()
        return chats, text, probs

    (one, two, again), text, probs = asyncio.run(go())
    assert one.text == again.text != two.text
    assert one.completion_tokens == 8
    assert one.prompt_tokens > 0
    assert text.finish_reason == "length"
    for answer in probs:
        assert "likeliest" in str(answer) or sum(answer.values.values()) == pytest.approx(1)


class Colour(BaseModel):
    word: Literal["red", "green"]


class Blue(Colour):
    @field_validator("word")
    @classmethod
    def _is_blue(cls, word: str) -> str:
        if word != "blue":
            raise ValueError("the server was told of red and green alone")
        return word


class Counted(OpenAI):
    _posted: list[Any] = PrivateAttr(default_factory=list)

    async def _post(self, url: str, body: dict[str, Any], key: str) -> httpx.Response:
        self._posted.append(body["messages"])
        return await super()._post(url, body, key)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_real_vllm_server_holds_replies_to_a_shape_and_is_asked_for_one_repair(
    server: str, ask: Callable[..., Any]
) -> None:
    class Filled(Responses):
        async def __call__(self, row: Any, ctx: Context) -> Any:
            llm, how = ctx.llm("generator"), Sampling(0.0, max_tokens=48)
            try:
                if row["shape"] is tuple:
                    return await complete(llm, ASK, how, ("seventeen", "green"))
                return await fill(llm, ASK, how, row["shape"])
            finally:
                await row["engine"].stop()  # every row here has a loop of its own

    asked = {shape: Counted(model="tiny", base_url=server) for shape in (tuple, Colour, Blue)}
    one, found, wrong = (
        ask(Filled(), {"shape": shape, "engine": engine}, engine) for shape, engine in asked.items()
    )
    assert one.text in ("seventeen", "green")
    assert (found[0].word in ("red", "green"), found[1].finish_reason) == (True, "stop")
    assert wrong.code == "bad_json"
    assert [len(engine._posted) for engine in asked.values()] == [1, 1, 2]
    repair = asked[Blue]._posted[-1]
    assert repair[:-2] == ASK
    assert "red and green alone" in repair[-1]["content"]
