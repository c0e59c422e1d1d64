"""Extensions that plant faults, as a plugin in one file: what is no number, and no memory."""

from __future__ import annotations

from typing import Literal

import numpy as np
from attrs import frozen

from loomlm.plugin import Batch, Component, hookimpl, key

loomlm_api = (1, 1)


@frozen
class NanConfig:
    """Which batches are spoilt."""

    steps: tuple[int, ...] = key("steps whose batches are spoilt", ())
    every: int | None = key("spoil every so many, too", None)


@frozen
class Nan:
    """Spoils batches: their weights are no number, so that the loss is none."""

    config: NanConfig

    @hookimpl(wrapper=True)
    def loomlm_batch(self, step):
        batch = yield
        every = self.config.every
        if step not in self.config.steps and not (every and step % every == 0):
            return batch
        return Batch({**batch.arrays, "weight": np.full_like(batch["weight"], np.nan)})


@frozen
class HungryConfig:
    """When memory runs out, and how that is said."""

    rows: int = key("rows from which on there is no memory", 1)
    after: int = key("calls that go well", 0)
    error: Literal["framework", "allocator", "python", "real"] = key(
        "the framework's own error, its CPU allocator's, Python's, or one of an allocation",
        "framework",
    )


@frozen
class Hungry:
    """A backbone that has no memory for many rows."""

    config: HungryConfig

    @hookimpl(wrapper=True)
    def loomlm_module(self, backend):
        module = yield
        count = 0

        def check(rows: int) -> None:
            nonlocal count
            if rows >= self.config.rows:
                count += 1
                if count > self.config.after:
                    fail(self.config.error, backend)

        if backend == "torch":
            forward = module.forward

            def checked(batch):
                check(len(batch["tokens"]))
                return forward(batch)

            module.forward = checked
        else:
            import tensorflow as tf

            call = module.call

            def called(batch, training=False):
                tokens = batch["tokens"]

                def look(rows):
                    check(int(rows))
                    return rows

                rows = tf.py_function(look, [tf.shape(tokens)[0]], tf.int32)
                with tf.control_dependencies([rows]):
                    return call({**batch, "tokens": tf.identity(tokens)}, training)

            module.call = called
        return module


def fail(error: str, backend: str) -> None:
    """Raise what a framework raises."""
    if error == "python":
        raise MemoryError("Unable to allocate 8.00 GiB for an array with shape (1073741824,)")
    if backend == "torch":
        import torch

        if error == "framework":
            raise torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of "
                "79.11 GiB of which 1.00 MiB is free. If reserved memory is large try setting "
                "PYTORCH_ALLOC_CONF."
            )
        if error == "allocator":
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate "
                "memory: you tried to allocate 80000000000 bytes. Error code 12 (Cannot allocate "
                "memory)"
            )
        torch.empty(1 << 42)
    import tensorflow as tf

    if error == "real":
        tf.zeros([1 << 42])
    raise tf.errors.ResourceExhaustedError(
        None,
        None,
        "OOM when allocating tensor with shape[64,512,768] and type float on "
        "/job:localhost/replica:0/task:0/device:CPU:0 by allocator cpu",
    )


@hookimpl
def loomlm_extensions():
    return [
        Component(
            kind="extension",
            name=name,
            summary=str(target.__doc__),
            target=f"{__name__}:{target.__name__}",
            config=config,
        )
        for name, target, config in (("nan", Nan, NanConfig), ("hungry", Hungry, HungryConfig))
    ]
