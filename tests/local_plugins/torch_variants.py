"""Further backends, for the tests of the parity checks: PyTorch, as it is or with something wrong.

`torch_again` is `torch` under another name, `torch_double` computes in float64: another rounding of
the same arithmetic. The others each have one mistake that a backend's author could make.
"""

from __future__ import annotations

import os
from typing import Any

from attrs import evolve

from loomlm.plugin import Batch, Builder, Component, hookimpl

VARIANTS = {
    "torch_again": "as_it_is",
    "torch_double": "in_float64",
    "torch_rates": "with_another_rate",
    "torch_weights": "with_a_perturbed_weight",
    "torch_clipping": "without_clipping",
    "torch_slots": "with_forgotten_slots",
    "torch_steps": "with_wrong_steps",
    "torch_microbatches": "with_a_mean_for_each_microbatch",
    "torch_broken": "that_raises",
    "torch_crash": "that_ends",
}
BUILT = {
    "backbone": {"mlp": "mlp:build", "rnn": "rnn:build", "transformer": "transformer:Transformer"},
    "optimizer": {"adamw": "optimizers:AdamW", "sgd": "optimizers:SGD", "muon": "optimizers:Muon"},
}
MISTAKES = {
    ("torch_gates", "backbone", "rnn"): "build_with_other_gates",
    ("torch_gelu", "backbone", "transformer"): "build_with_the_other_gelu",
    ("torch_waves", "backbone", "transformer"): "build_with_other_waves",
    ("torch_epsilon", "optimizer", "adamw"): "other_epsilon",
}


@hookimpl
def loomlm_trainers() -> list[Component]:
    builders = {backend: "as_it_is" for backend, *_ in MISTAKES}
    return [
        Component(
            kind="trainer",
            name=name,
            summary="PyTorch, for tests",
            target=f"{__name__}:{target}",
            requires=("torch",),
        )
        for name, target in {**VARIANTS, **builders}.items()
    ]


@hookimpl
def loomlm_builders() -> list[Builder]:
    backends = [*VARIANTS, *(name for name, *_ in MISTAKES)]
    found = [_builder(*key, f"{__name__}:{target}") for key, target in MISTAKES.items()]
    for backend in backends:
        for kind, targets in BUILT.items():
            for name, target in targets.items():
                if (backend, kind, name) not in MISTAKES:
                    found.append(_builder(backend, kind, name, f"loomlm_torch.{target}"))
        target = "loomlm_copying.torch_modules:EncoderDecoder"
        found.append(_builder(backend, "backbone", "encoder_decoder", target))
    return found


def _builder(backend: str, kind: str, name: str, target: str) -> Builder:
    return Builder(kind=kind, name=name, backend=backend, target=target)


def _trainer(config: Any, change: Any) -> Any:
    """PyTorch's trainer, with every engine changed."""
    from loomlm_torch.trainer import TorchTrainer

    class Changed(TorchTrainer):
        def engine(self, spec, trainer, builders):
            return change(super().engine(spec, trainer, builders))

    return Changed(config)


def as_it_is(config: Any) -> Any:
    return _trainer(config, lambda engine: engine)


def in_float64(config: Any) -> Any:
    def change(engine: Any) -> Any:
        class Double(type(engine)):
            __slots__ = ()

            def _there(self, tensors):
                found = super()._there(tensors)
                return {n: t.double() if t.is_floating_point() else t for n, t in found.items()}

        engine.module.double()
        engine.__class__ = Double
        engine._updates.optimizer = FloatDivisor(engine.optimizer)
        return engine

    return _trainer(config, change)


class Around:
    """An engine with some methods of its own."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


class FloatDivisor(Around):
    """An optimizer that is told float32, as its kernels want it, whatever the gradients are."""

    def update(self, values, gradients, slots, context):
        told = evolve(context, divisor=context.divisor.float())
        self.engine.update(values, gradients, slots, told)


class OtherRate(Around):
    def train_step(self, microbatches, context):
        self.engine.train_step(
            microbatches, evolve(context, learning_rate=context.learning_rate * 1.01)
        )


def with_another_rate(config: Any) -> Any:
    return _trainer(config, OtherRate)


class PerturbedWeight(Around):
    def load_state(self, part, arrays):
        arrays = [(name, array.copy()) for name, array in arrays]
        if part == "model":
            arrays[0][1][5:8] += 1e-2
        self.engine.load_state(part, arrays)


def with_a_perturbed_weight(config: Any) -> Any:
    return _trainer(config, PerturbedWeight)


def without_clipping(config: Any) -> Any:
    from loomlm_torch.trainer import TorchTrainer

    class Unclipped(TorchTrainer):
        def engine(self, spec, trainer, builders):
            return super().engine(spec, evolve(trainer, gradient_clip="off"), builders)

    return Unclipped(config)


class ForgottenSlots(Around):
    """Takes the weights of a checkpoint, and not the optimizer's state."""

    def load_state(self, part, arrays):
        if part == "model":
            self.engine.load_state(part, arrays)


def with_forgotten_slots(config: Any) -> Any:
    return _trainer(config, ForgottenSlots)


class MeanOfEach(Around):
    """Takes the mean of each microbatch, and the mean of those."""

    def train_step(self, microbatches, context):
        whole = sum(float(batch["weight"].sum()) for batch in microbatches) / len(microbatches)
        scaled = [
            Batch({**batch.arrays, "weight": batch["weight"] * (whole / batch["weight"].sum())})
            for batch in microbatches
        ]
        self.engine.train_step(scaled, context)


def with_a_mean_for_each_microbatch(config: Any) -> Any:
    return _trainer(config, MeanOfEach)


class WrongSteps(Around):
    """Writes a text that is wrong from the second token on."""

    def step(self, cache, tokens):
        return self.engine.step(cache, tokens)[:, ::-1]


def with_wrong_steps(config: Any) -> Any:
    return _trainer(config, WrongSteps)


def that_raises(config: Any) -> Any:
    def change(engine: Any) -> Any:
        raise RuntimeError("out of luck")

    return _trainer(config, change)


def that_ends(config: Any) -> Any:
    return _trainer(config, lambda engine: os._exit(3))


def build_with_other_gates(spec: Any) -> Any:
    """Two gates of each cell change places, as where another framework has another order."""
    from torch.func import functional_call

    from loomlm_torch.rnn import Layer, Rnn

    class Turned(Layer):
        inside = False

        def forward(self, *given: Any, **named: Any) -> Any:
            if self.inside:
                return super().forward(*given, **named)
            order = [1, 0, 2] if self.cell == "gru" else [0, 2, 1, 3]
            turned = {
                name: value.unflatten(0, (len(order), -1))[order].flatten(0, 1)
                for name, value in self.named_parameters()
            }
            self.inside = True
            try:
                return functional_call(self, turned, given, named)
            finally:
                self.inside = False

    module = Rnn(spec)
    for layer in module.modules():
        if isinstance(layer, Layer):
            layer.__class__ = Turned
    return module


def build_with_the_other_gelu(spec: Any) -> Any:
    """GELU as it is where its approximation by tanh is asked for."""
    from loomlm_torch.transformer import Transformer

    exact = spec.config.activation.replace("gelu_tanh", "gelu")
    return Transformer(evolve(spec, config=evolve(spec.config, activation=exact)))


def build_with_other_waves(spec: Any) -> Any:
    from loomlm_torch.transformer import Transformer

    return Transformer(evolve(spec, config=evolve(spec.config, rotary_base=9000.0)))


def other_epsilon(config: Any) -> Any:
    from loomlm_torch.optimizers import AdamW

    return AdamW(evolve(config, epsilon=1e-4))
