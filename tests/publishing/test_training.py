"""The card's own lines, run with TRL: one step on what a run exported."""

import re
from importlib.util import find_spec

import pytest

from gristmill import Recipe, run
from gristmill.engines.models import locate
from gristmill.publishing import training
from gristmill.publishing.files import RunFiles

SEEDS = [
    {
        "instruction": f"Add {i} and 2.",
        "output": f"{i + 2}",
        "prompt": f"Add {i} and 2.",
        "chosen": f"It is {i + 2}.",
        "rejected": "No.",
    }
    for i in range(8)
]
FORMATS = ["messages", "preference", "ranking"]


@pytest.fixture
def made(tmp_path) -> RunFiles:
    recipe = Recipe.model_validate(
        {
            "name": "pairs",
            "stages": [{"use": "filters.length"}],
            "export": {"formats": FORMATS},
        }
    )
    return RunFiles.open(run(recipe, SEEDS, workspace=tmp_path).path)


def test_the_card_says_what_is_for_which_trainer(made) -> None:
    text = "\n".join(training.section(made))
    assert re.findall(r"from trl import (\w+), (\w+)", text) == [
        ("SFTConfig", "SFTTrainer"),
        ("DPOConfig", "DPOTrainer"),
    ]
    assert "`exports/dataset_info.json`" in text
    assert "`exports/axolotl_dpo.yaml`" in text
    assert text in (made.path / "dataset" / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("trl") is None, reason="trl is not installed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["SFT", "DPO"])
def test_trl_trains_a_step_by_the_lines_of_the_card(kind, made, monkeypatch) -> None:
    card = (made.path / "dataset" / "README.md").read_text()
    code = next(c for c in re.findall(r"```python\n(.*?)```", card, re.DOTALL) if f"{kind}T" in c)
    step = ", max_steps=1, use_cpu=True, report_to=[], per_device_train_batch_size=2, bf16=False)"
    code = code.replace(training.MODEL, str(locate("demo"))).replace(
        '"trained")', f'"trained"{step}'
    )
    assert "max_steps=1" in code
    monkeypatch.chdir(made.path / "dataset")
    told = {}
    exec(code.replace(f"{kind}Trainer(", f"trainer = {kind}Trainer(").replace(".train()", ""), told)
    done = told["trainer"].train()
    assert done.global_step == 1
    assert 0 < done.training_loss < 20
    assert len(told["rows"]) == len(SEEDS)
