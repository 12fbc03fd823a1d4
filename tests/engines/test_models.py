import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gristmill.engines.models import commit, fingerprint, locate, template_hash
from gristmill.errors import InputError

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Path]:
    def make(weights: bytes = b"weights", name: str = "model") -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(weights)
        return folder

    return make


def test_a_folder_is_its_own_place_and_its_fingerprint_is_its_content(
    model: Callable[..., Path],
) -> None:
    one, same, other = model(), model(name="same"), model(b"WEIGHTS", name="other")
    assert locate(str(one)) == one
    assert fingerprint(str(one)) == fingerprint(str(same)) != fingerprint(str(other))


@pytest.mark.parametrize("name", ["tokenizer.json", "chat_template.jinja", "model.safetensors"])
def test_every_file_that_decides_an_answer_changes_the_fingerprint(
    model: Callable[..., Path], name: str
) -> None:
    folder = model()
    before = fingerprint(str(folder))
    (folder / name).write_text("changed")
    assert fingerprint(str(folder)) != before


def test_the_folders_of_an_embedder_decide_too_and_hidden_ones_do_not(
    model: Callable[..., Path],
) -> None:
    folder = model()
    (folder / "1_Pooling").mkdir()
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text('{"pooling_mode": "mean"}')
    before = fingerprint(str(folder))
    hidden = folder / ".cache" / "huggingface"
    hidden.mkdir(parents=True)
    (hidden / "download.json").write_text("{}")
    assert fingerprint(str(folder)) == before
    pooling.write_text('{"pooling_mode": "cls"}')
    assert fingerprint(str(folder)) != before
    pooling.write_text('{"pooling_mode": "mean"}')
    assert fingerprint(str(folder)) == before
    (folder / "1_Pooling").rename(folder / "2_Pooling")
    assert fingerprint(str(folder)) != before


def test_a_readme_does_not_change_the_fingerprint(model: Callable[..., Path]) -> None:
    folder = model()
    before = fingerprint(str(folder))
    (folder / "README.md").write_text("words")
    assert fingerprint(str(folder)) == before


def test_files_are_read_once_and_again_when_they_change(
    model: Callable[..., Path], tmp_path: Path
) -> None:
    folder = model()
    before = fingerprint(str(folder))
    memory = tmp_path / "cache" / "gristmill" / "fingerprints.json"
    known = json.loads(memory.read_text())
    known[str(folder)][1] = "remembered"
    memory.write_text(json.dumps(known))
    assert fingerprint(str(folder)) == "remembered"
    os.utime(folder / "config.json", ns=(1, 1))
    assert fingerprint(str(folder)) == before


@pytest.mark.parametrize("junk", ["", "[]", "{"])
def test_a_broken_memory_is_made_again(
    model: Callable[..., Path], tmp_path: Path, junk: str
) -> None:
    folder = model()
    before = fingerprint(str(folder))
    (tmp_path / "cache" / "gristmill" / "fingerprints.json").write_text(junk)
    assert fingerprint(str(folder)) == before


@pytest.mark.parametrize("name", ["no_such_model", "/no/such/folder", "demmo", "owner/absent"])
def test_a_model_that_does_not_exist_names_the_nearest(name: str) -> None:
    with pytest.raises(InputError, match=f"model '{name}' cannot be found.*nearest.*'demo'"):
        fingerprint(name)


def test_a_folder_without_a_model_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("")
    with pytest.raises(InputError, match=r"expected config.json.*found \['notes.md'\]"):
        locate(str(tmp_path))


def snapshot(tmp_path: Path, name: str = "model.safetensors") -> Path:
    hub = tmp_path / "cache" / "huggingface" / "hub" / "models--owner--name"
    (hub / "refs").mkdir(parents=True)
    (hub / "refs" / "main").write_text(SHA)
    folder = hub / "snapshots" / SHA
    folder.mkdir(parents=True)
    (folder / name).write_text("")
    return folder


def test_a_name_on_the_hub_is_the_commit_in_the_local_cache(tmp_path: Path) -> None:
    folder = snapshot(tmp_path)
    assert commit("owner/name") == SHA
    assert fingerprint("owner/name") == f"owner/name@{SHA}"
    assert locate("owner/name") == folder


def test_an_unfinished_download_is_left_to_the_hub(tmp_path: Path) -> None:
    folder = snapshot(tmp_path, "config.json")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model-1.safetensors").write_text("")
    assert locate("owner/name") == "owner/name"
    (folder / "model-2.safetensors").write_text("")
    assert locate("owner/name") == folder


def test_a_pinned_revision_is_never_looked_up() -> None:
    assert fingerprint("owner/name", SHA) == f"owner/name@{SHA}"


def test_the_embedder_from_pypi_has_a_name() -> None:
    assert (Path(locate("minilm")) / "model.safetensors").is_file()


def test_a_template_is_named_by_its_text() -> None:
    assert template_hash("{{ a }}") != template_hash("{{ b }}")
    assert template_hash(None) == template_hash("") == ""


def test_naming_a_model_imports_no_framework(model: Callable[..., Path]) -> None:
    code = (
        "import sys; from gristmill.engines.models import fingerprint; "
        f"fingerprint({str(model())!r}); "
        "print([m for m in ('torch', 'transformers', 'vllm', 'ray') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
