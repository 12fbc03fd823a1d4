"""Train the demo model from a seed: tokenizer, packed rows, Llama, Muon and AdamW."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from demo_yield import trained
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from demo_model.corpus import ASSISTANT, DONE, END, SYSTEM, USER, documents
from demo_model.mixes import MIXES

log = logging.getLogger(__name__)
SPECIAL = [END, SYSTEM, USER, ASSISTANT, DONE]
PATTERN = r"\n *|[ _]?[A-Za-z]+|[0-9]| ?[^\sA-Za-z0-9]+(?: (?=[0-9]))?|\s+"
TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
CONTEXT = 1024


@dataclass(frozen=True)
class Phase:
    """So many steps on one kind of corpus; each phase has a fresh optimizer."""

    steps: int
    seed: int
    peak: float
    """Learning rate of Muon; AdamW has a fifth of it."""
    warm: int
    cool: int
    """Last steps, in which the learning rate falls to zero."""
    mix: str = "demo"
    """What it reads, a name in MIXES."""
    length: int = 320
    """Tokens in a row of packed documents."""

    @property
    def rows(self) -> int:
        """Rows in a step."""
        return STEP // self.length


STEP, SEED = 5120, 7
"""Tokens in a step; the seed of everything."""
SAVED = 20
"""Steps after which the weights are written, for a training that does not come to its end."""
PHASES = (
    Phase(1050, SEED, peak=0.015, warm=40, cool=200),
    Phase(260, SEED + 1, peak=0.008, warm=10, cool=240, mix="short tests"),
    Phase(160, SEED + 2, peak=0.008, warm=8, cool=150, mix="more recipes", length=640),
    Phase(240, SEED + 3, peak=0.008, warm=8, cool=220, mix="short prompts", length=640),
    Phase(280, SEED + 4, peak=0.008, warm=8, cool=262, mix="known words", length=640),
    Phase(110, SEED + 5, peak=0.008, warm=6, cool=100, mix="worked examples", length=CONTEXT),
)
"""What the shipped weights went through. After the fourth `code_act` kept 7 of 24 rows and
`infinity_math` none, and of the programs of `demo` 0.28 passed instead of 0.33. After the sixth the
judge of seeds said Yes to 29 of 60 docstrings that say enough, to 2 of 60 that do not, all of
programs held out, and to 70 of 403 of the standard library; of the programs of `demo` 0.28 passed
(0.335 after the fifth), 0.60 were novel (0.55)."""


def tokenizer(seed: int, n: int = 3000, vocabulary: int = 1024) -> PreTrainedTokenizerFast:
    """Train the byte-level BPE tokenizer on the first documents; digits stay single."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    texts = ("".join(t for t, _ in d if t not in SPECIAL) for d, _ in islice(documents(seed), n))
    inner.train_from_iterator((_bare(text) for text in texts), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token=END,
        pad_token=END,
        additional_special_tokens=SPECIAL[1:],
        chat_template=TEMPLATE,
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def _bare(text: str) -> str:
    for special in SPECIAL:
        text = text.replace(special, "")
    return text


def model(vocabulary: int, seed: int) -> LlamaForCausalLM:
    """Return an untrained model of 3.1 million parameters."""
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=256,
            intermediate_size=576,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=CONTEXT,
            rope_theta=10_000.0,
            tie_word_embeddings=False,
            bos_token_id=None,
            eos_token_id=[0, SPECIAL.index(DONE)],
            pad_token_id=0,
            torch_dtype="float32",
            attn_implementation="sdpa",
        )
    )


class Packer:
    """Rows of packed documents. A row begins where a document begins, as a prompt does."""

    def __init__(self, tokens: PreTrainedTokenizerFast, phase: Phase) -> None:
        self.tokens, self.phase = tokens, phase
        self.source = documents(phase.seed, MIXES[phase.mix])
        self.trees: set[str] = set()
        self.n_documents = 0

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids (rows, length) and the weight of the loss on each, int64 and float32."""
        shape = self.phase.rows, self.phase.length
        ids, weights = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
        for i in range(self.phase.rows):
            at = 0
            while at < self.phase.length:
                document, tree = next(self.source)
                self.n_documents += 1
                self.trees.update((tree or "").split())
                for text, weight in [*document, (END, 1.0)]:
                    part = self.tokens.encode(text, add_special_tokens=False)[
                        : self.phase.length - at
                    ]
                    ids[i, at : at + len(part)] = part
                    weights[i, at : at + len(part)] = weight
                    at += len(part)
        return torch.from_numpy(ids), torch.from_numpy(weights)


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised updates for matrices (Jordan et al., 2024), in float32."""

    def __init__(self, parameters: Any, lr: float, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Update every matrix."""
        for group in self.param_groups:
            for p in group["params"]:
                held = self.state[p].setdefault("held", torch.zeros_like(p))
                held.lerp_(p.grad, 1 - group["momentum"])
                update = orthogonal(p.grad.lerp(held, group["momentum"]))
                scale = max(1.0, p.shape[0] / p.shape[1]) ** 0.5
                p.mul_(1 - group["lr"] * 0.05).add_(update, alpha=-group["lr"] * scale)


def orthogonal(g: torch.Tensor) -> torch.Tensor:
    """Return the nearest (half-)orthogonal matrix by four Newton-Schulz steps."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.T if g.shape[0] > g.shape[1] else g
    x = x / (x.norm() + 1e-7)
    for _ in range(4):
        y = x @ x.T
        x = a * x + (b * y + c * y @ y) @ x
    return x.T if g.shape[0] > g.shape[1] else x


def rate(step: int, phase: Phase) -> float:
    """Return the factor of the learning rate: warm up, hold, then fall to zero."""
    return min(1.0, (step + 1) / phase.warm, (phase.steps - step) / phase.cool)


def loss_of(net: LlamaForCausalLM, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean negative log-likelihood of the next token."""
    logits = net(input_ids=ids).logits[:, :-1]
    each = torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]).float(), ids[:, 1:].reshape(-1), reduction="none"
    )
    w = weights[:, 1:].reshape(-1)
    return (each * w).sum() / w.sum()


def train(
    folder: Path, phases: Sequence[Phase], *, fused: bool = True, start: Path | None = None
) -> dict[str, Any]:
    """Train phase after phase and write the model; return what the card says about it.

    `start` is a folder with a model of the phases before; its tokenizer stays.
    """
    torch.set_num_threads(2)  # another number sums in another order
    began = time.monotonic()
    if start is None:
        tokens, trees = tokenizer(SEED), set[str]()
        net = model(len(tokens), SEED)
    else:
        tokens = PreTrainedTokenizerFast.from_pretrained(start)
        net = LlamaForCausalLM.from_pretrained(start, dtype=torch.float32)
        trees = trained(start / "programs.bin")
    losses, n_documents = list[float](), 0
    for phase in phases:
        packer = Packer(tokens, phase)
        losses = run(net, phase, packer, folder, fused=fused)
        n_documents, trees = n_documents + packer.n_documents, trees | packer.trees
        write(net, tokens, folder)
    (folder / "programs.bin").write_bytes(b"".join(map(bytes.fromhex, sorted(trees))))
    return {
        "steps": sum(phase.steps for phase in phases),
        "tokens": sum(phase.steps for phase in phases) * STEP,
        "documents": n_documents,
        "programs": len(trees),
        "loss": round(sum(losses[-20:]) / len(losses[-20:]), 4),
        "parameters": sum(p.numel() for p in net.parameters()),
        "wall_s": round(time.monotonic() - began),
    }


def run(
    net: LlamaForCausalLM, phase: Phase, packer: Packer, folder: Path, *, fused: bool
) -> list[float]:
    """Train for one phase; return the loss of every step."""
    matrices = [p for n, p in net.named_parameters() if p.ndim == 2 and "layers" in n]
    others = [p for n, p in net.named_parameters() if p.ndim != 2 or "layers" not in n]
    peaks = phase.peak, phase.peak / 5
    optimizers = [
        Muon(matrices, peaks[0]),
        torch.optim.AdamW(others, peaks[1], (0.9, 0.95), weight_decay=0.0),
    ]
    losses, began = list[float](), time.monotonic()
    call = torch.compile(loss_of) if fused else loss_of
    for step in range(phase.steps):
        for optimizer, peak in zip(optimizers, peaks, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = peak * rate(step, phase)
        loss = call(net, *packer.batch())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        if step % 10 == 9:
            speed = (step + 1) * STEP / (time.monotonic() - began)
            log.info("step=%d loss=%.4f tokens_s=%.0f", step + 1, sum(losses[-10:]) / 10, speed)
        if step % SAVED == SAVED - 1:
            write(net, packer.tokens, folder)
    return losses


def write(net: LlamaForCausalLM, tokens: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write what vLLM and transformers read."""
    net.generation_config.eos_token_id = [0, SPECIAL.index(DONE)]
    net.save_pretrained(folder, safe_serialization=True)
    tokens.save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"  # also known to transformers 4
    for name in ("backend", "is_local", "local_files_only"):
        settings.pop(name, None)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    (folder / "model.safetensors").chmod(0o644)
