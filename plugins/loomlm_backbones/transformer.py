"""The `transformer` backbone: its layout."""

from __future__ import annotations

from math import sqrt

from attrs import frozen

from loomlm.plugin import (
    BackboneContext,
    Batch,
    BatchSpec,
    Constant,
    FitContext,
    Fitted,
    Normal,
    Parameter,
)
from loomlm_backbones.config import TransformerConfig

STD = 0.02
"""Of initial matrices and tables, as in GPT-2 (Radford 2019)."""


@frozen
class Transformer:
    """Decoder or encoder: reads `tokens` (batch, time) and `length` (batch,) as tasks give them.

    Where there is `segment` (batch, time) too, tokens attend to those with their own number alone,
    and positions begin anew with each.

    Parameters, with w for width, d for the width of a head, h for the inner width:
    `embedding.weight` (vocab_size, w); with learned positions `positions.weight`
    (max_positions, w). In each layer, `layers.I.`: `attention.qkv.weight`
    ((heads + 2 kv_heads) d, w), the rows of the queries, then of keys, then of values;
    `attention.out.weight` (w, w); with qk_norm `attention.query_norm.weight` and
    `attention.key_norm.weight` (d,); `mlp.up.weight` (h, w), with swiglu `mlp.gate.weight` (h, w)
    besides, and `mlp.down.weight` (w, h); `attention_norm.weight` and `mlp_norm.weight` (w,).
    With norm_place = "pre", `norm.weight` (w,). With bias, all but tables and RMSNorms have one.

    The two matrices of a layer whose results are added to the states start smaller by
    sqrt(2 layers), so that the states' size does not grow with depth (Radford 2019).

    With encoder_decoder it reads `source` (batch, time) and `source_length` (batch,) besides. What
    is above but for the embedding stands twice, in `encoder.` and in `decoder.`; with a vocabulary
    of the source's own there is `source_embedding.weight` (source_vocab_size, w). In each layer of
    the decoder there is besides, each with as many heads as the rest: `cross_norm.weight` (w,);
    `cross.query.weight` (w, w), which reads what is written, and `cross.source.weight`
    (2 kv_heads d, w), which reads the source, the rows of keys and then of values;
    `cross.out.weight` (w, w); with qk_norm `cross.query_norm.weight` and `cross.key_norm.weight`.
    Three matrices of a layer are added to the states there, so they start smaller by
    sqrt(3 layers).
    """

    config: TransformerConfig

    threads = None
    free = frozenset({"causal", "pooling", "tied"})

    @property
    def capabilities(self) -> frozenset[str]:
        if self.config.encoder_decoder:
            return frozenset({"tokens", "encoder_decoder"})
        order = {"auto": {"causal", "bidirectional"}, True: {"causal"}, False: {"bidirectional"}}
        return frozenset({"sequence", "tokens", "segments"} | order[self.config.causal])

    @property
    def width(self) -> int:
        return self.config.width

    @property
    def longest(self) -> int | None:
        return self.config.max_positions

    @property
    def tied(self) -> str | None:
        return "embedding.weight" if self.config.tied else None

    def parameters(self, context: BackboneContext) -> tuple[Parameter, ...]:
        config = self.config
        layout = [_table("embedding.weight", context.vocab_size, config.width)]
        if not config.encoder_decoder:
            return (*layout, *self._stack("", config.layers))
        if context.source_vocab_size is not None:
            table = _table("source_embedding.weight", context.source_vocab_size, config.width)
            layout.append(table)
        encoder = self._stack("encoder.", config.sources)
        return (*layout, *encoder, *self._stack("decoder.", config.layers, cross=True))

    def _stack(self, name: str, layers: int, cross: bool = False) -> list[Parameter]:
        """Positions, layers, a last norm. cross: with attention to a source."""
        config, layout = self.config, []
        if config.max_positions is not None:
            layout.append(_table(f"{name}positions.weight", config.max_positions, config.width))
        small = STD / sqrt((3 if cross else 2) * layers)
        for index in range(layers):
            layout += self._layer(f"{name}layers.{index}", small)
            if cross:
                layout += self._cross(f"{name}layers.{index}", small)
        if config.norm_place == "pre":
            layout += self._norm(f"{name}norm", config.width)
        return layout

    def _cross(self, name: str, small: float) -> list[Parameter]:
        """Attention to a source."""
        config = self.config
        keys_values = 2 * (config.kv_heads or config.heads) * config.head_width
        layout = self._norm(f"{name}.cross_norm", config.width)
        layout += self._matrix(f"{name}.cross.query", config.width, config.width, STD)
        layout += self._matrix(f"{name}.cross.source", keys_values, config.width, STD)
        if config.qk_norm:
            layout += self._norm(f"{name}.cross.query_norm", config.head_width)
            layout += self._norm(f"{name}.cross.key_norm", config.head_width)
        return layout + self._matrix(f"{name}.cross.out", config.width, config.width, small)

    def _layer(self, name: str, small: float) -> list[Parameter]:
        """Attention and a network; small: std of the two matrices that add to the states."""
        config = self.config
        kv_heads = config.kv_heads or config.heads
        queries_keys_values = (config.heads + 2 * kv_heads) * config.head_width
        layout = self._norm(f"{name}.attention_norm", config.width)
        layout += self._matrix(f"{name}.attention.qkv", queries_keys_values, config.width, STD)
        if config.qk_norm:
            layout += self._norm(f"{name}.attention.query_norm", config.head_width)
            layout += self._norm(f"{name}.attention.key_norm", config.head_width)
        layout += self._matrix(f"{name}.attention.out", config.width, config.width, small)
        layout += self._norm(f"{name}.mlp_norm", config.width)
        if config.activation == "swiglu":
            layout += self._matrix(f"{name}.mlp.gate", config.inner, config.width, STD)
        layout += self._matrix(f"{name}.mlp.up", config.inner, config.width, STD)
        layout += self._matrix(f"{name}.mlp.down", config.width, config.inner, small)
        return layout

    def _matrix(self, name: str, rows: int, columns: int, std: float) -> list[Parameter]:
        weight = Parameter(
            name=f"{name}.weight",
            shape=(rows, columns),
            init=Normal(std),
            role="matrix",
            decay=True,
        )
        return [weight, _vector(f"{name}.bias", rows, 0.0)] if self.config.bias else [weight]

    def _norm(self, name: str, width: int) -> list[Parameter]:
        weight = _vector(f"{name}.weight", width, 1.0)
        has_bias = self.config.norm == "layernorm" and self.config.bias
        return [weight, _vector(f"{name}.bias", width, 0.0)] if has_bias else [weight]

    def batch_spec(self, spec: BatchSpec) -> BatchSpec:
        return spec

    def prepare(self, batch: Batch) -> Batch:
        return batch

    def fit(self, context: FitContext) -> Fitted:
        return Fitted()


def _table(name: str, rows: int, width: int) -> Parameter:
    return Parameter(name=name, shape=(rows, width), init=Normal(STD), role="embedding", decay=True)


def _vector(name: str, size: int, value: float) -> Parameter:
    return Parameter(name=name, shape=(size,), init=Constant(value), role="vector", decay=False)
