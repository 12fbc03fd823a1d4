"""A tiny random model, made once per session."""

import importlib.util
from pathlib import Path

import pytest


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
