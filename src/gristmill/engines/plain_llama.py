"""A small Llama on a CPU in few, large steps: the logits of transformers, sooner.

transformers goes through all tokens some forty times a layer. Here it is a dozen: queries, keys
and values come of one product, and so do the two halves of the feed-forward; the norms' weights are
part of the matrices behind them; positions turn by one product of complex numbers (the halves of a
head interleaved, which changes no product of query and key); sums are made inside the products; and
behind the last attention only those tokens go on that are asked about. What the first layer makes
of a token depends on nothing but the token: it is made for the whole vocabulary once.

Source: Touvron et al., "LLaMA", arXiv:2302.13971, section 2.2; Su et al., arXiv:2104.09864.
"""

from __future__ import annotations

import logging
from typing import Any

log = logging.getLogger(__name__)

SMALL = 2**27
"""Parameters at most: the matrices are held twice, and large ones leave nothing to gain."""
LOOKED_UP = 2**24
"""Numbers at most of the first queries, keys and values of the whole vocabulary (64 MiB)."""
CLOSE = 1e-5
"""How far a logit may be from that of transformers, in units of the largest."""
TRIED = 24
"""Tokens of each of two sequences by which that is found out."""


class PlainLlama:
    """The matrices of a model, put together. May be used from several threads at once."""

    def __init__(self, model: Any, window: int) -> None:
        """Read a Llama without biases; `window` is the length of the longest sequence."""
        import torch

        config, body = model.config, model.model
        self.heads, self.groups = config.num_attention_heads, config.num_key_value_heads
        self.eps, self.inner = config.rms_norm_eps, config.intermediate_size
        self.embeddings = body.embed_tokens.weight.detach()
        with torch.inference_mode():
            self.layers = [self._layer(layer) for layer in body.layers]
            self.head = model.lm_head.weight * body.norm.weight
            n_first = len(self.embeddings) * len(self.layers[0][0])
            self.first = self._inwards(self.embeddings, 0) if n_first <= LOOKED_UP else None
            cos, sin = body.rotary_emb(self.embeddings, torch.arange(window)[None])
            half = cos.shape[2] // 2
            self.turns = torch.complex(cos[0, :, None, :half], sin[0, :, None, :half])

    def _layer(self, layer: Any) -> tuple[Any, Any, Any, Any]:
        """Return queries, keys and values; the way out; gate and up; down."""
        import torch

        attention, forward = layer.self_attn, layer.mlp
        turned = [
            _interleaved(attention.q_proj.weight, self.heads),
            _interleaved(attention.k_proj.weight, self.groups),
            attention.v_proj.weight,
        ]
        pair = [forward.gate_proj.weight, forward.up_proj.weight]
        return (
            torch.cat(turned) * layer.input_layernorm.weight,
            attention.o_proj.weight.detach().T,
            torch.cat(pair) * layer.post_attention_layernorm.weight,
            forward.down_proj.weight.detach().T,
        )

    def __call__(self, ids: Any, rows: Any, places: Any) -> Any:
        """Return the last states at places of (batch, length) ids, (n,), (n,) -> (n, d)."""
        from torch.nn.functional import embedding, linear, silu

        wanted = rows * ids.shape[1] + places
        tokens = ids.flatten()
        state = embedding(tokens, self.embeddings)  # (tokens, d)
        for i, (_, outwards, gate_up, down) in enumerate(self.layers):
            is_known = i == 0 and self.first is not None
            made = embedding(tokens, self.first) if is_known else self._inwards(state, i)
            seen = self._attend(made, ids.shape)
            if i + 1 == len(self.layers):
                seen, state = seen[wanted], state[wanted]
            state.addmm_(seen, outwards)
            both = linear(self._scaled(state), gate_up)
            gate, up = both.tensor_split(2, 1)
            state.addmm_(silu(gate, inplace=True).mul_(up), down)
        return self._scaled(state)

    def logits(self, states: Any) -> Any:
        """Return what the vocabulary makes of last states, (n, d) -> (n, vocabulary)."""
        from torch.nn.functional import linear

        return linear(states, self.head)

    def _inwards(self, state: Any, i: int) -> Any:
        """Return what goes into a layer's attention, (tokens, d) -> (tokens, .)."""
        from torch.nn.functional import linear

        return linear(self._scaled(state), self.layers[i][0])

    def _scaled(self, state: Any) -> Any:
        """Return tokens of root mean square 1."""
        import torch

        size = torch.linalg.vector_norm(state, dim=1, keepdim=True)
        return state * size.square_().div_(state.shape[1]).add_(self.eps).rsqrt_()

    def _attend(self, made: Any, shape: Any) -> Any:
        """Let every token look at itself and those before it, (tokens, .) -> (tokens, .)."""
        import torch
        from torch.nn.functional import scaled_dot_product_attention

        n, length = shape
        parts = made.view(n, length, self.heads + 2 * self.groups, -1)
        turning = parts[:, :, : self.heads + self.groups].unflatten(3, (-1, 2))
        torch.view_as_complex(turning).mul_(self.turns[:length])
        sizes = [self.heads, self.groups, self.groups]
        q, k, v = (part.transpose(1, 2) for part in parts.split(sizes, 2))
        is_grouped = self.heads != self.groups
        found = scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=is_grouped)
        return found.transpose(1, 2).reshape(n * length, -1)


def plain_llama(model: Any, window: int) -> PlainLlama | None:
    """Return the quick way through a model; None where it has none, or its values would differ."""
    import torch

    config = model.config
    parameters = list(model.parameters())
    rope = getattr(config, "rope_parameters", None) or {}  # transformers 4 has none
    is_plain = (
        type(model).__name__ == "LlamaForCausalLM"
        and config.hidden_act == "silu"
        and not (config.attention_bias or config.mlp_bias)
        and rope.get("rope_type") == "default"
        and all(p.dtype == torch.float32 and p.device.type == "cpu" for p in parameters)
        and sum(p.numel() for p in parameters) <= SMALL
    )
    if not is_plain:
        return None
    n = min(TRIED, window)
    ids = torch.randint(config.vocab_size, (2, n), generator=torch.Generator().manual_seed(0))
    rows, places = torch.arange(2).repeat_interleave(n), torch.arange(n).repeat(2)
    with torch.inference_mode():
        wanted = model(input_ids=ids, use_cache=False).logits.flatten(0, 1)
        quick = PlainLlama(model, window)
        found = quick.logits(quick(ids, rows, places))
        off = (found - wanted).abs().max() / wanted.abs().max()
    log.info("plain_llama off=%.1e", off)
    return quick if off < CLOSE else None


def _interleaved(weight: Any, heads: int) -> Any:
    """Let the rows of a head's two halves take turns, (heads * width, d) -> the same."""
    return weight.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)
