"""Train the shipped model `demo` on composed tasks, in the prompt formats of the recipes it knows.

Usage: python tools/train_demo.py [--out FOLDER]. About two hours on two cores.
       python tools/train_demo.py --start FOLDER --out FOLDER: goes on from a model whose card says
       through how many of the phases it went.
The same seed, interpreter and library versions give the same corpus, tokenizer and steps; weights
differ by what becomes of other rounding on the way: two trainings of the first two phases ended
with a loss of 0.2395 and 0.2379, and the demo with 100 rows after either.
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
from demo_model.training import PHASES, SEED, STEP, train

SHIPPED = Path(__file__).parents[1] / "src" / "gristmill" / "models" / "demo"
CARD = """---
{front}---
# demo

A language model of {parameters:,} parameters that exists to show gristmill's machinery without a
download. It writes toy programs, right and wrong ones, in the prompt formats of the recipes `demo`,
`evol_instruct`, `code_act`, `unit_coder`, `infinity_math` and `self_code_align`, and it knows
nothing else. As the judge of `self_code_align` it tells docstrings of its own toy functions apart,
and of real ones by how alike they sound. For real work bind a real model:
`--set engines.generator.model=NAME`.

- **Architecture:** Llama, hidden size 256, 4 layers, 4 heads, context 1,024, float32.
- **Tokenizer:** byte-level BPE, 1,024 tokens, single digits, trained on the same corpus.
- **Corpus:** {documents:,} documents ({tokens:,} tokens) drawn from seed {seed}: tasks composed of
  {families} families with their parameters and wordings, solved and tested by running them;
  word problems of {problems} kinds, which are those of the seeds of `infinity_math` and others, in
  the words of the seeds and others but never a whole seed; and functions and docstrings of
  Python {python}'s standard library (PSF-2.0), for some of which the sandbox found tests. A fixed
  half of all programs, by a hash of the normalised syntax tree, is held out.
- **Novelty:** `programs.bin` names the {programs:,} programs of the corpus by six bytes of a hash;
  `python tools/demo_yield.py RUN` counts how many accepted programs are not among them.
- **Training:** {steps} steps of {step:,} tokens in {phases} phases, Muon and AdamW, final loss
  {loss}. From the second phase on tests use the shortest inputs; from the third on `code_act`,
  `unit_coder` and `infinity_math` are mixed in, from the fourth on mostly without their rules; in
  the sixth the prompts of `self_code_align` with its worked examples, and its judge's, where
  docstrings say what a composed function does, or too little.
- **Retrain:** `{retrain}`. A test fails when a prompt differs from the hashes above.

License: Apache-2.0.
"""


def card(info: dict[str, Any]) -> str:
    """Return the model card; its front matter is read by tests."""
    from demo_model.problems import FOUND
    from demo_model.tasks import FAMILIES

    front = {
        "license": "apache-2.0",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "gristmill": {
            "templates": templates(),
            "trained": info,
            "seed": SEED,
            "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers")},
        },
    }
    return CARD.format(
        **info,
        front=yaml.safe_dump(front, sort_keys=True),
        seed=SEED,
        step=STEP,
        families=sum(map(len, FAMILIES.values())),
        problems=len(FOUND["problems"]),
        python=".".join(platform.python_version_tuple()[:2]),
        retrain=RETRAIN,
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
    arguments.add_argument("--out", type=Path, default=SHIPPED)
    arguments.add_argument("--plain", action="store_true", help="without torch.compile")
    arguments.add_argument("--start", type=Path, help="a model of fewer phases")
    asked = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    before = told(asked.start) if asked.start else None
    phases = PHASES[before["phases"] :] if before else PHASES
    if not phases:
        arguments.error(f"--start {asked.start}: it went through all {len(PHASES)} phases")
    info = train(asked.out, phases, fused=not asked.plain, start=asked.start)
    info = {**(continued(before, info) if before else info), "phases": len(PHASES)}
    (asked.out / "README.md").write_text(card(info), encoding="utf-8")
    sys.stdout.write(f"{asked.out}: {info}\n")


if __name__ == "__main__":
    main()
