"""A tiny random model, made once per session, and vLLM with `demo`, started once per session."""

import asyncio
import importlib.util
import json
import shutil
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.engines.models import locate
from gristmill.engines.remote import Remote
from gristmill.engines.vllm import Vllm
from tests.engines.both import Both

Wait = Callable[..., Any]
STRICT = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a Llama with random weights and a chat template."""
    source = Path(__file__).with_name("tiny.py")
    spec = importlib.util.spec_from_file_location("tiny", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Path = module.make(tmp_path_factory.mktemp("tiny"))
    return made


@pytest.fixture(scope="session")
def wait() -> Iterator[Wait]:
    """Run coroutines of many tests in one loop: an engine lives in the loop that started it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def call(work: Coroutine[Any, Any, Any], limit_s: float = 890) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(limit_s)

    yield call
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="session")
def vllm(wait: Wait) -> Iterator[Remote]:
    """Return the real vLLM in a Ray actor, with the model that comes along."""
    remote = Remote(engine=Vllm(model=str(locate("demo", None)), max_num_seqs=32))
    wait(remote.start())
    yield remote
    wait(remote.stop())


@pytest.fixture(scope="session")
def rater(tiny, tmp_path_factory) -> Path:
    """A classifier of one label with random weights; its template takes no system turn."""
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    folder: Path = tmp_path_factory.mktemp("rater")
    for path in Path(tiny).glob("tokenizer*"):
        shutil.copy(path, folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["chat_template"] = STRICT + settings["chat_template"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    torch.manual_seed(2)
    config = LlamaConfig.from_pretrained(tiny)
    config.num_labels = 1
    model = LlamaForSequenceClassification(config)
    with torch.no_grad():
        model.score.weight *= 40  # values far from each other, outside of [0, 1]
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def pooled(rater: Path, wait: Wait) -> Iterator[Remote]:
    """Return the real vLLM in a Ray actor, with the classifier."""
    remote = Remote(engine=Both(model=str(rater), max_model_len=64))
    wait(remote.start())
    yield remote
    wait(remote.stop())
