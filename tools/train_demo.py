"""Train the shipped model `demo` on composed tasks, in the prompt formats of the demo recipes.

Usage: python tools/train_demo.py [--out FOLDER]. 40 to 70 minutes on two cores.
       python tools/train_demo.py --more --out FOLDER: goes on from the shipped weights with the
       prompts of `code_act`, `unit_coder` and `infinity_math`; 20 to 25 minutes. A trial: what it
       lost of the demo is told where `MORE` stands, in demo_model/training.py.
The same seed, interpreter and library versions give the same corpus, tokenizer and steps; weights
differ by what becomes of other rounding on the way: two trainings ended with a loss of 0.2395 and
0.2379, and the demo with 100 rows after either.
"""

from __future__ import annotations

import argparse
import logging
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from demo_model.templates import RETRAIN, templates
from demo_model.training import MORE, PHASES, SEED, STEP, train

SHIPPED = Path(__file__).parents[1] / "src" / "gristmill" / "models" / "demo"
CARD = """---
{front}---
# demo

A language model of {parameters:,} parameters that exists to show gristmill's machinery without a
download. It writes toy programs, right and wrong ones, in the prompt formats of the recipes `demo`
and `evol_instruct`, and it knows nothing else.{recipes} For real work bind a real model:
`--set engines.generator.model=NAME`.

- **Architecture:** Llama, hidden size 256, 4 layers, 4 heads, context 1,024, float32.
- **Tokenizer:** byte-level BPE, 1,024 tokens, single digits, trained on the same corpus.
- **Corpus:** {documents:,} documents ({tokens:,} tokens) drawn from seed {seed}: tasks composed of
  {families} families with their parameters and wordings, solved and tested by running them; and
  functions and docstrings of Python {python}'s standard library (PSF-2.0). A fixed half of all
  programs, by a hash of the normalised syntax tree, is held out.{texts}
- **Novelty:** `programs.bin` names the {programs:,} programs of the corpus by six bytes of a hash;
  `python tools/demo_yield.py RUN` counts how many accepted programs are not among them.
- **Training:** {steps} steps of {step:,} tokens, Muon and AdamW, final loss {loss}; in the second
  phase the tests use the shortest inputs.{phases}
- **Retrain:** `{retrain}`. A test fails when a prompt differs from the hashes above.

License: Apache-2.0.
"""

ADDED = {
    "recipes": " More training taught it those of\n`code_act`, `unit_coder` and `infinity_math`.",
    "texts": """
  Then word problems of {problems} kinds, which are those of the seeds of `infinity_math` and
  others, in other words and with other numbers, and tests that the sandbox found for functions of
  the standard library.""",
    "phases": """ The third mixes in
  `code_act`, `unit_coder` and `infinity_math`, the fourth leaves out most of their rules; both
  began with the shipped weights.""",
}


def card(info: dict[str, Any], *, more: bool = False) -> str:
    """Return the model card; its front matter is read by tests."""
    from demo_model.problems import FOUND
    from demo_model.tasks import FAMILIES

    front = {
        "license": "apache-2.0",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "gristmill": {
            "templates": templates(more=more),
            "trained": info,
            "seed": SEED,
            "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers")},
        },
    }
    n_kinds = len(FOUND["problems"])
    added = {name: text.format(problems=n_kinds) if more else "" for name, text in ADDED.items()}
    return CARD.format(
        **info,
        **added,
        front=yaml.safe_dump(front, sort_keys=True),
        seed=SEED,
        step=STEP,
        families=sum(map(len, FAMILIES.values())),
        python=".".join(platform.python_version_tuple()[:2]),
        retrain=f"{RETRAIN} --more --out FOLDER" if more else RETRAIN,
    )


def told(folder: Path) -> dict[str, Any]:
    """Return what the card of a model says of its training."""
    _, front, _ = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(front)["gristmill"]["trained"]
    return found


def continued(before: dict[str, Any], info: dict[str, Any]) -> dict[str, Any]:
    """Add up what two trainings took; loss and programs are those of the second already."""
    added = {name: before[name] + info[name] for name in ("documents", "steps", "tokens", "wall_s")}
    return {**info, **added}


def main() -> None:
    """Train, then write weights, tokenizer, card and the names of the programs seen."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--out", type=Path)
    arguments.add_argument("--plain", action="store_true", help="without torch.compile")
    arguments.add_argument("--more", action="store_true", help="teach the shipped model more")
    asked = arguments.parse_args()
    if asked.more and not asked.out:
        arguments.error("--more needs --out: it begins with the shipped weights")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    out, fused = asked.out or SHIPPED, not asked.plain
    if asked.more:
        info = continued(told(SHIPPED), train(out, MORE, fused=fused, start=SHIPPED))
    else:
        info = train(out, PHASES, fused=fused)
    (out / "README.md").write_text(card(info, more=asked.more), encoding="utf-8")
    sys.stdout.write(f"{out}: {info}\n")


if __name__ == "__main__":
    main()
