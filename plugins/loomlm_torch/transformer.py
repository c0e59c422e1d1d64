"""The `transformer` backbone in PyTorch, from top to bottom.

Names are those of the layout in `loomlm_backbones/transformer.py`. In shapes, `heads` are heads of
queries, of which `heads / kv_heads` share one of keys and values, and `d` is the width of a head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loomlm.plugin import ModelSpec
from loomlm_torch import caching
from loomlm_torch.attending import attend
from loomlm_torch.drawing import dropout
from loomlm_torch.pooling import last, pool

EPSILON = 1e-5

Turn = tuple[Tensor, Tensor]
"""Cosines and sines that rotary positions turn by, broadcast over (batch, time, heads, d); sines of
the first half are negative."""

Keep = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Puts a layer's new keys and values away, and gives those to attend to."""


Source = tuple[Tensor, Tensor, Tensor]
"""A source's keys and values (batch, kv_heads, source, d), and (batch, 1, 1, source), true for what
is of it."""


class Stack(nn.Module):
    """Positions, layers, a last norm: from tokens' embeddings to their states."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.config = config
        self.positions = None
        if config.positions == "learned":
            self.positions = nn.Embedding(config.max_positions, config.width)
        self.layers = nn.ModuleList(layers)
        self.norm = make_norm(config, config.width) if config.norm_place == "pre" else None
        for name in ("cos", "sin"):
            self.register_buffer(name, torch.empty(0, config.head_width), persistent=False)
        self.extend(512)

    def through(
        self,
        x: Tensor,
        mask: Tensor | None,
        keep: caching.Kept | None = None,
        places: Tensor | None = None,
        sources: Sequence[Source] = (),
    ) -> Tensor:
        """Embeddings (batch, time, width) to states (batch, time, width).

        mask: (batch, 1, time or 1, keys), true for what is attended to; without one, causal
        attention.
        places: (batch, time), where they are not 0, 1, 2, ...; of as many as `extend` was told.
        sources: of layers that write, what each attends to besides.
        """
        time = x.shape[1]
        turn = None
        if self.positions is not None:
            table = self.positions.weight
            x = x + (table[:time] if places is None else F.embedding(places, table))
        elif places is not None:
            turn = self.cos[places][:, :, None], self.sin[places][:, :, None]
        else:
            turn = self.cos[:time, None], self.sin[:time, None]
        x = dropout(x, self.config.dropout, self.training)
        for index, layer in enumerate(self.layers):
            kept = partial(keep, index) if keep else None
            x = layer(x, turn, mask, kept, *sources[index : index + 1])
        return x if self.norm is None else self.norm(x)

    def begin(
        self,
        x: Tensor,
        length: Tensor,
        cache: dict[str, Tensor],
        sources: Sequence[Source] = (),
    ) -> Tensor:
        """The states of prompts, embedded (batch, time, width); a cache gets what is kept."""
        self.extend(x.shape[1])
        return self.through(x, None, caching.begin(cache, length), sources=sources)

    def go_on(self, x: Tensor, cache: dict[str, Tensor], sources: Sequence[Source] = ()) -> Tensor:
        """The states of tokens, embedded (batch, width), to (batch, width); the cache gets them."""
        keep, mask, places = caching.go_on(cache)
        self.extend(cache["keys.0"].shape[2] + 1)  # There may be more places with this token.
        return self.through(x[:, None], mask, keep, places, sources)[:, 0]

    def extend(self, places: int) -> None:
        """Have the cosines and sines of so many places (Su 2021), and as many again.

        They may be needed first where no gradient is, and later where one is.
        """
        if places <= len(self.cos):
            return
        with torch.inference_mode(False):
            half, device = self.config.head_width // 2, self.cos.device
            waves = self.config.rotary_base ** (-torch.arange(half, dtype=torch.float64) / half)
            angles = torch.outer(torch.arange(2 * places, dtype=torch.float64), waves)
            cos, sin = angles.cos(), angles.sin()
            self.cos = torch.cat((cos, cos), dim=-1).float().to(device)
            self.sin = torch.cat((-sin, sin), dim=-1).float().to(device)


class Transformer(Stack):
    """Embeddings, layers, a last norm. Built from a ModelSpec; reads `tokens` and `length`."""

    capturable = True

    def __init__(self, spec: ModelSpec) -> None:
        config = spec.config
        super().__init__(config, (Layer(config) for _ in range(config.layers)))
        self.reads = spec.head.reads
        self.causal = spec.causal or config.causal is True
        self.embedding = nn.Embedding(spec.vocab_size, config.width)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Hidden states: (batch, time, width), or (batch, width) where the head reads sequences."""
        tokens = batch["tokens"]
        mask = places = None
        if "segment" in batch:
            mask, places = apart(batch["segment"], self.causal)
        elif not self.causal:
            # A row without a token sees its first place: not every kernel can attend to nothing.
            mask = inside(batch["length"].clamp(min=1), tokens.shape[1])
        self.extend(tokens.shape[1])
        hidden = self.through(self.embedding(tokens), mask, None, places)
        if self.reads == "tokens":
            return hidden
        return pool(hidden, batch["length"], self.config.pooling)

    def start(self, batch: Mapping[str, Tensor], room: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The states (batch, width) behind each row's last token, and the rows' cache."""
        cache: dict[str, Tensor] = {}
        embedded = self.embedding(batch["tokens"])
        hidden = self.begin(embedded, batch["length"], cache)
        return last(hidden, batch["length"]), cache

    def step(self, cache: dict[str, Tensor], tokens: Tensor) -> Tensor:
        """Append a token (batch,) to each row, in the cache too; its state (batch, width)."""
        return self.go_on(self.embedding(tokens), cache)


def inside(length: Tensor, time: int) -> Tensor:
    """(batch, 1, 1, time): what stands in each row, for attention to it."""
    return (torch.arange(time, device=length.device) < length[:, None])[:, None, None]


class Layer(nn.Module):
    """Attention, then a network at each token; each adds to the states."""

    def __init__(self, config) -> None:
        super().__init__()
        self.pre = config.norm_place == "pre"
        self.dropout = config.dropout
        self.attention_norm = make_norm(config, config.width)
        self.attention = Attention(config)
        self.mlp_norm = make_norm(config, config.width)
        self.mlp = SwiGlu(config) if config.activation == "swiglu" else Mlp(config)

    def forward(
        self, x: Tensor, turn: Turn | None, mask: Tensor | None, keep: Keep | None
    ) -> Tensor:
        """(batch, time, width) to the same."""
        if self.pre:
            x = x + self._drop(self.attention(self.attention_norm(x), turn, mask, keep))
            return x + self._drop(self.mlp(self.mlp_norm(x)))
        x = self.attention_norm(x + self._drop(self.attention(x, turn, mask, keep)))
        return self.mlp_norm(x + self._drop(self.mlp(x)))

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)


class Attention(nn.Module):
    """Several heads of scaled dot-product attention, with fewer of keys and values if wanted."""

    def __init__(self, config) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.heads, self.kv_heads = config.heads, config.kv_heads or config.heads
        d = self.d = config.head_width
        self.widths = [self.heads * d, self.kv_heads * d, self.kv_heads * d]
        self.qkv = nn.Linear(config.width, sum(self.widths), bias=config.bias)
        self.query_norm = make_norm(config, d) if config.qk_norm else None
        self.key_norm = make_norm(config, d) if config.qk_norm else None
        self.out = nn.Linear(config.width, config.width, bias=config.bias)

    def forward(
        self, x: Tensor, turn: Turn | None, mask: Tensor | None, keep: Keep | None
    ) -> Tensor:
        """(batch, time, width) to the same."""
        size, time, width = x.shape
        q, k, v = self.qkv(x).split(self.widths, dim=-1)
        q = q.view(size, time, self.heads, self.d)
        k = k.view(size, time, self.kv_heads, self.d)
        v = v.view(size, time, self.kv_heads, self.d)
        if self.query_norm is not None and self.key_norm is not None:
            # In float32, as everything that is normalised.
            q, k = self.query_norm(q.float()).type_as(v), self.key_norm(k.float()).type_as(v)
        if turn is not None:
            q, k = rotate(q, *turn), rotate(k, *turn)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # (batch, heads, time, d)
        if keep is not None:
            k, v = keep(k, v)
        causal = mask is None and time > 1  # A token that is appended sees all before it.
        x = attend(q, k, v, mask, causal, self.dropout, self.training)
        return self.out(x.transpose(1, 2).reshape(size, time, width))


def apart(segment: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
    """What each token sees, (batch, 1, time, time), and its place, (batch, time), where a row holds
    several documents, whose tokens have the same number in `segment` (batch, time).
    """
    same = segment[:, :, None] == segment[:, None]
    before = same.tril()
    return (before if causal else same)[:, None], before.sum(dim=-1) - 1


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pairs (x[i], x[i + d / 2]) of each head, (batch, time, heads, d), by their angle."""
    return _Rotation.apply(x, cos, sin) if x.requires_grad else _rotated(x, cos, sin)


class _Rotation(torch.autograd.Function):
    """Its gradient turns back, in as few passes over the memory."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _rotated(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _rotated(gradients[0], cos, -sin), None, None


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    exact = x.to(torch.promote_types(x.dtype, cos.dtype))
    turned = exact * cos
    return turned.addcmul_(exact.roll(x.shape[-1] // 2, dims=-1), sin).type_as(x)


class Mlp(nn.Module):
    """Two matrices and a GELU (Hendrycks 2016)."""

    def __init__(self, config) -> None:
        super().__init__()
        self.up = nn.Linear(config.width, config.inner, bias=config.bias)
        self.down = nn.Linear(config.inner, config.width, bias=config.bias)
        self.approximate = "tanh" if config.activation == "gelu_tanh" else "none"

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, width) to the same."""
        return self.down(F.gelu(self.up(x), approximate=self.approximate))


class SwiGlu(nn.Module):
    """Three matrices, of which one gates another (Shazeer 2020)."""

    def __init__(self, config) -> None:
        super().__init__()
        self.gate = nn.Linear(config.width, config.inner, bias=config.bias)
        self.up = nn.Linear(config.width, config.inner, bias=config.bias)
        self.down = nn.Linear(config.inner, config.width, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, width) to the same."""
        return self.down(F.silu(self.gate(x)) * self.up(x))


def make_norm(config, width: int) -> nn.Module:
    """RMSNorm (Zhang 2019) or LayerNorm (Ba 2016)."""
    if config.norm == "rmsnorm":
        return nn.RMSNorm(width, eps=EPSILON)
    return nn.LayerNorm(width, eps=EPSILON, bias=config.bias)
