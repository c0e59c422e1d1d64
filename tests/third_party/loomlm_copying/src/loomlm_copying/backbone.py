"""The backbone `encoder_decoder`: capabilities and layout, without a framework."""

from __future__ import annotations

from attrs import frozen

from loomlm.plugin import BackboneContext, Batch, BatchSpec, FitContext, Fitted, Parameter, Uniform
from loomlm_copying.config import EncoderDecoderConfig


@frozen
class EncoderDecoder:
    """One embedding for source and target, positions that are learnt, two GRUs, attention."""

    config: EncoderDecoderConfig

    capabilities = frozenset({"tokens", "encoder_decoder"})
    tied = None
    threads = 1

    @property
    def width(self) -> int:
        return self.config.width

    @property
    def longest(self) -> int:
        return self.config.longest

    def parameters(self, context: BackboneContext) -> tuple[Parameter, ...]:
        width = self.config.width
        return (
            _parameter("embedding.weight", (context.vocab_size, width), "embedding"),
            _parameter("positions.weight", (self.config.longest, width), "embedding"),
            *_gru("encoder", width),
            *_gru("decoder", width),
            _parameter("query.weight", (width, width), "matrix"),
            _parameter("key.weight", (width, width), "matrix"),
            _parameter("out.weight", (width, 2 * width), "matrix"),
        )

    def batch_spec(self, spec: BatchSpec) -> BatchSpec:
        return spec

    def prepare(self, batch: Batch) -> Batch:
        return batch

    def fit(self, context: FitContext) -> Fitted:
        return Fitted()


def _gru(name: str, width: int) -> list[Parameter]:
    return [
        _parameter(f"{name}.weight_ih_l0", (3 * width, width), "matrix"),
        _parameter(f"{name}.weight_hh_l0", (3 * width, width), "matrix"),
        _parameter(f"{name}.bias_ih_l0", (3 * width,), "vector"),
        _parameter(f"{name}.bias_hh_l0", (3 * width,), "vector"),
    ]


def _parameter(name: str, shape: tuple[int, ...], role) -> Parameter:
    bound = 0.5 if role == "embedding" else shape[-1] ** -0.5
    return Parameter(name=name, shape=shape, init=Uniform(bound), role=role, decay=role == "matrix")
