"""Where models come from: the lock names what was pinned, the licence, and whose code may run."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from gristmill import Recipe, run
from gristmill.engines.logprobs import Logprobs
from gristmill.engines.models import pinned
from gristmill.engines.openai import OpenAI
from gristmill.engines.provenance import licence, origin
from gristmill.engines.scripted import Scripted
from gristmill.engines.vllm import Vllm

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with the files of a model."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ("---\nlicense: mit\n---\nA model.", "mit"),
        ("---\nlicense: other\nlicense_name: house-rules\n---\n", "house-rules"),
        ("---\nlicense: other\n---\n", "other"),
        ("---\nlicense: [mit, apache-2.0]\n---\n", "mit, apache-2.0"),
        ("---\nlanguage: en\n---\n", None),
        ("---\nlicense: [\n---\n", None),
        ("license: mit", None),
        ("", None),
    ],
)
def test_a_licence_is_what_the_models_own_card_states(model: Path, card: str, said: Any) -> None:
    (model / "README.md").write_text(card)
    assert licence(str(model)) == said


def test_the_models_that_ship_state_theirs_and_a_bare_folder_has_none(model: Path) -> None:
    assert (licence("demo"), licence("minilm")) == ("apache-2.0", "apache-2.0")
    assert licence(str(model)) is None


def test_what_is_pinned_is_a_hash_of_the_files_or_a_commit(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = origin(str(model), None)["pinned"]
    assert len(before) == 32
    (model / "model.safetensors").write_bytes(b"others, longer")
    assert origin(str(model), None)["pinned"] != before
    hub = origin("owner/name", SHA)
    assert hub == {
        "model": "owner/name", "pinned": SHA, "licence": None, "trust_remote_code": False,
    }  # fmt: skip
    assert pinned("owner/name", SHA) == {
        "pretrained_model_name_or_path": "owner/name",
        "revision": SHA,
        "trust_remote_code": False,
    }
    assert pinned(str(model), "main")["revision"] is None


def test_a_branch_is_loaded_at_the_commit_that_names_its_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    refs = tmp_path / "models--owner--name" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text(SHA)
    assert pinned("owner/name")["revision"] == SHA


def test_code_of_a_model_is_off_unless_the_recipe_says_so(model: Path) -> None:
    assert Vllm(model=str(model)).origin()["trust_remote_code"] is False
    assert Vllm(model=str(model)).arguments()["trust_remote_code"] is False
    assert Vllm(model=str(model), trust_remote_code=True).origin()["trust_remote_code"] is True
    assert Logprobs(model=str(model)).origin()["trust_remote_code"] is False


def test_of_a_server_only_what_the_recipe_says_is_known() -> None:
    assert OpenAI(model="m", revision="r7").origin() == {
        "model": "m", "server": "http://127.0.0.1:8000/v1", "pinned": "r7", "licence": None,
    }  # fmt: skip


class Named(Scripted):
    """Has a model, and counts how often it is asked where it comes from."""

    asked: list[int]

    def origin(self) -> dict[str, Any]:
        self.asked.append(1)
        return {"model": "m", "pinned": SHA, "licence": "mit", "trust_remote_code": True}


def test_lock_and_card_say_it_and_a_second_run_does_not_ask_again(tmp_path: Path) -> None:
    stages = [{"use": "generators.responses", "n": 1}]
    recipe = Recipe.model_validate({"name": "named", "stages": stages})
    engine = Named(asked=[])
    for _ in range(2):
        result = run(recipe, [{"instruction": "Go."}], {"generator": engine}, workspace=tmp_path)
    assert engine.asked == [1]
    lock = yaml.safe_load((result.path / "recipe.lock.yaml").read_text())
    assert lock["models"]["generator"]["pinned"] == SHA
    card = (result.folder / "README.md").read_text()
    assert f"| generator | Named | `m` | `{SHA}` | `mit` |" in card
    assert "the model behind `generator` could run: trust_remote_code." in card
