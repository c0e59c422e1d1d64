"""Extensions, as a plugin in one file: one for each wrapping hook, and some that do it wrong."""

from __future__ import annotations

import numpy as np
from attrs import evolve, frozen

from loomlm.plugin import (
    Batch,
    Component,
    Constant,
    Parameter,
    UsageError,
    hookimpl,
    key,
)

loomlm_api = (1, 1)


@frozen
class FreezeConfig:
    """What is not trained."""

    prefix: str = key("what the names of parameters that are not trained begin with", "backbone.")


@frozen
class Freeze:
    """Trains what does not begin with a prefix."""

    config: FreezeConfig

    @hookimpl(wrapper=True)
    def loomlm_model_spec(self):
        spec = yield
        layout = (
            evolve(p, trainable=False, sparse=False) if p.name.startswith(self.config.prefix) else p
            for p in spec.layout
        )
        return evolve(spec, layout=tuple(layout))


class Scale:
    """Multiplies the hidden states by a vector that is learned; on both backends."""

    def __init__(self, config) -> None:
        self.built = 0

    @hookimpl(wrapper=True)
    def loomlm_model_spec(self):
        spec = yield
        width = next(p.shape[1] for p in spec.layout if p.name == "head.weight")
        scale = Parameter(
            name="backbone.scale", shape=(width,), init=Constant(1.0), role="vector", decay=False
        )
        return evolve(spec, layout=(*spec.layout, scale))

    @hookimpl(wrapper=True)
    def loomlm_module(self, spec, backend):
        module = yield
        width = next(p.shape[0] for p in spec.layout if p.name == "backbone.scale")
        if backend == "torch":
            import torch

            module.scale = torch.nn.Parameter(torch.ones(width))
            inner, module.forward = module.forward, lambda batch: inner(batch) * module.scale
            return module
        if backend == "tensorflow":
            module.scale = module.add_weight(shape=(width,), initializer="ones", name="scale")
            call = module.call
            module.call = lambda batch, training=False: call(batch, training) * module.scale
            return module
        raise UsageError(f"The extension scale knows torch and tensorflow, not {backend}.")


class Twice:
    """Every training example, and once more in capital letters; those to predict in small ones."""

    def __init__(self, config) -> None:
        pass

    @hookimpl(wrapper=True)
    def loomlm_examples(self, split):
        for_all = yield
        if split == "predict":
            return (evolve(example, text=example.text.lower()) for example in for_all)
        if split == "train":
            return (e for one in for_all for e in (one, evolve(one, text=one.text.upper())))
        return for_all


class DropTokens:
    """Puts the unknown token for some, as a function of seed and step."""

    def __init__(self, config) -> None:
        pass

    @hookimpl(wrapper=True)
    def loomlm_batch(self, step, seed):
        batch = yield
        tokens = batch["tokens"]
        drop = np.random.default_rng((seed, step)).random(tokens.shape) < 0.3
        return Batch({**batch.arrays, "tokens": np.where(drop, 1, tokens).astype(tokens.dtype)})


class Nothing:
    """Forgets to return."""

    def __init__(self, config) -> None:
        pass

    @hookimpl(wrapper=True)
    def loomlm_batch(self):
        yield


class Wide:
    """Gives a batch of another size."""

    def __init__(self, config) -> None:
        pass

    @hookimpl(wrapper=True)
    def loomlm_batch(self):
        batch = yield
        return Batch({name: np.concatenate([a, a]) for name, a in batch.arrays.items()})


class Fewer:
    """Leaves out what is to be predicted."""

    def __init__(self, config) -> None:
        pass

    @hookimpl(wrapper=True)
    def loomlm_examples(self, split):
        examples = yield
        return iter(()) if split == "predict" else examples


KINDS = {
    "freeze": (Freeze, FreezeConfig),
    "scale": (Scale, None),
    "twice": (Twice, None),
    "drop_tokens": (DropTokens, None),
    "nothing": (Nothing, None),
    "wide": (Wide, None),
    "fewer": (Fewer, None),
}


@hookimpl
def loomlm_extensions():
    return [
        Component(
            kind="extension",
            name=name,
            summary=str(target.__doc__),
            target=f"{__name__}:{target.__name__}",
            **({"config": config} if config else {}),
        )
        for name, (target, config) in KINDS.items()
    ]
