"""The `transformer` backbone in PyTorch where it reads a source: encoder, decoder, and attention
between them. The parts that it shares with the others stand in `transformer.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from loomlm.plugin import ModelSpec
from loomlm_torch.attending import attend
from loomlm_torch.pooling import last
from loomlm_torch.transformer import (
    Keep,
    Layer,
    Source,
    Stack,
    Transformer,
    Turn,
    inside,
    make_norm,
)


def build(spec: ModelSpec) -> nn.Module:
    """The backbone, of one of its two kinds."""
    return EncoderDecoder(spec) if spec.config.encoder_decoder else Transformer(spec)


class EncoderDecoder(nn.Module):
    """Reads `source` and `source_length`, `tokens` and `length` (Vaswani 2017)."""

    capturable = True

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        config = spec.config
        self.embedding = nn.Embedding(spec.vocab_size, config.width)
        self.source_embedding = None
        if spec.source_vocab_size is not None:
            self.source_embedding = nn.Embedding(spec.source_vocab_size, config.width)
        self.encoder = Stack(config, (Layer(config) for _ in range(config.sources)))
        self.decoder = Stack(config, (DecoderLayer(config) for _ in range(config.layers)))

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Hidden states of what is written, (batch, time, width)."""
        tokens = batch["tokens"]
        self.decoder.extend(tokens.shape[1])
        # What stands behind a row is read by nothing in it, so it needs no mask.
        return self.decoder.through(self.embedding(tokens), None, sources=self._sources(batch))

    def start(self, batch: Mapping[str, Tensor], room: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The states (batch, width) behind each row's last token, and the rows' cache.

        source_keys.0, source_values.0, ...: of each layer (batch, kv_heads, source, d), projected
        once for all that is written; seen: (batch, 1, 1, source). The others as of `caching`.
        """
        cache: dict[str, Tensor] = {}
        sources = self._sources(batch)
        embedded = self.embedding(batch["tokens"])
        hidden = self.decoder.begin(embedded, batch["length"], cache, sources)
        for index, (keys, values, seen) in enumerate(sources):
            # Attention in one product reads each head's as it stands.
            cache[f"source_keys.{index}"] = keys.contiguous()
            cache[f"source_values.{index}"] = values.contiguous()
            cache["seen"] = seen
        return last(hidden, batch["length"]), cache

    def step(self, cache: dict[str, Tensor], tokens: Tensor) -> Tensor:
        """Append a token (batch,) to each row, in the cache too; its state (batch, width)."""
        sources = [
            (cache[f"source_keys.{index}"], cache[f"source_values.{index}"], cache["seen"])
            for index in range(len(self.decoder.layers))
        ]
        return self.decoder.go_on(self.embedding(tokens), cache, sources)

    def _sources(self, batch: Mapping[str, Tensor]) -> list[Source]:
        """What each layer of the decoder attends to."""
        tokens = batch["source"]
        # A source without a token is read as its first place: not every kernel can attend to none.
        seen = inside(batch["source_length"].clamp(min=1), tokens.shape[1])
        embed = self.embedding if self.source_embedding is None else self.source_embedding
        self.encoder.extend(tokens.shape[1])
        states = self.encoder.through(embed(tokens), seen)
        found = []
        for layer in self.decoder.layers:
            assert isinstance(layer, DecoderLayer)
            found.append((*layer.cross.read(states), seen))
        return found


class DecoderLayer(Layer):
    """A layer with attention to a source, between attention and network."""

    def __init__(self, config) -> None:
        super().__init__(config)
        self.cross_norm = make_norm(config, config.width)
        self.cross = CrossAttention(config)

    def forward(  # type: ignore[override] - it reads a source besides
        self, x: Tensor, turn: Turn | None, mask: Tensor | None, keep: Keep | None, source: Source
    ) -> Tensor:
        """(batch, time, width) to the same."""
        if self.pre:
            x = x + self._drop(self.attention(self.attention_norm(x), turn, mask, keep))
            x = x + self._drop(self.cross(self.cross_norm(x), source))
            return x + self._drop(self.mlp(self.mlp_norm(x)))
        x = self.attention_norm(x + self._drop(self.attention(x, turn, mask, keep)))
        x = self.cross_norm(x + self._drop(self.cross(x, source)))
        return self.mlp_norm(x + self._drop(self.mlp(x)))


class CrossAttention(nn.Module):
    """Attention of what is written to a source; places are not told, but in the states."""

    def __init__(self, config) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.heads, self.kv_heads = config.heads, config.kv_heads or config.heads
        d = self.d = config.head_width
        self.query = nn.Linear(config.width, self.heads * d, bias=config.bias)
        self.source = nn.Linear(config.width, 2 * self.kv_heads * d, bias=config.bias)
        self.query_norm = make_norm(config, d) if config.qk_norm else None
        self.key_norm = make_norm(config, d) if config.qk_norm else None
        self.out = nn.Linear(config.width, config.width, bias=config.bias)

    def read(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (batch, kv_heads, source, d) of a source's states."""
        size, time, _ = states.shape
        k, v = self.source(states).view(size, time, 2, self.kv_heads, self.d).unbind(dim=2)
        if self.key_norm is not None:
            k = self.key_norm(k.float()).type_as(v)
        return k.transpose(1, 2), v.transpose(1, 2)

    def forward(self, x: Tensor, source: Source) -> Tensor:
        """(batch, time, width) to the same."""
        size, time, width = x.shape
        k, v, seen = source
        q = self.query(x).view(size, time, self.heads, self.d)
        if self.query_norm is not None:
            q = self.query_norm(q.float()).type_as(v)
        x = attend(q.transpose(1, 2), k, v, seen, False, self.dropout, self.training)
        return self.out(x.transpose(1, 2).reshape(size, time, width))
