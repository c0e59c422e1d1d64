"""Forward and backward passes on a CUDA GPU as CUDA graphs: the host launches each with one call.

A GPU has done a small model's kernels before the host has launched them one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from attrs import define, field, frozen
from torch import Tensor, nn

from loomlm.plugin import ModelSpec, PluginError

PLAIN = 2
"""Steps from a shape's first until it is captured: what is made at first use is made by then."""

Gradients = Sequence[Tensor | None]
Form = tuple[tuple[str, torch.Size, torch.dtype], ...]


def capturable(spec: ModelSpec, module: Any, device: torch.device) -> bool:
    """Whether the passes of a model may be captured: its backbone says so (`capturable = True`).

    That promises that for batches of one shape it does the same work each time, decided by nothing
    but its config, without waiting for the device. Sparse gradients have as many rows as a batch
    names.
    """
    sparse = any(parameter.sparse and parameter.trainable for parameter in spec.layout)
    says_so = getattr(module.backbone, "capturable", False)
    return device.type == "cuda" and says_so and not sparse


@frozen
class Graph:
    """One captured pass; all tensors are its own, and each replay writes over them."""

    graph: torch.cuda.CUDAGraph
    inputs: Mapping[str, Tensor]
    total: Tensor
    loss: Tensor
    gradients: Gradients
    held: Sequence[Tensor]

    def replay(self, batch: Mapping[str, Tensor], total: Tensor) -> tuple[Tensor, Gradients]:
        """The loss of a batch on the host, and the gradients, which the next replay replaces."""
        for name, tensor in batch.items():
            self.inputs[name].copy_(tensor, non_blocking=True)
        self.total.copy_(total)
        self.graph.replay()
        return self.loss.clone(), self.gradients


@define(slots=False)
class Graphs:
    """The graphs of a module, one for each shape of its batches.

    loss: a batch's tensors and what its loss is divided by, to that.
    scaled: that loss to what is differentiated. values: the parameters that train.
    name: the backbone's.
    """

    name: str
    module: nn.Module
    loss: Callable[[Mapping[str, Tensor], Tensor], Tensor]
    scaled: Callable[[Tensor], Tensor]
    values: Sequence[Tensor]
    device: torch.device
    _first: dict[Form, int] = field(factory=dict, init=False)
    _graphs: dict[Form, Graph | None] = field(factory=dict, init=False)

    def of(self, batch: Mapping[str, Tensor], step: int) -> Graph | None:
        """The graph for batches of this one's shape; None where it is to be computed plainly."""
        form = tuple((name, tensor.shape, tensor.dtype) for name, tensor in batch.items())
        if form in self._graphs:
            return self._graphs[form]
        if step < self._first.setdefault(form, step) + PLAIN:
            return None
        may = self._has_room() and not self._hooked()
        self._graphs[form] = self._capture(batch) if may else None
        return self._graphs[form]

    def _capture(self, batch: Mapping[str, Tensor]) -> Graph:
        inputs = {name: tensor.to(self.device) for name, tensor in batch.items()}
        total = torch.ones((), device=self.device)
        # Buffers that the module replaces by larger ones, say, are still read from here.
        held = list(self.module.buffers())
        graph, (pool, stream) = torch.cuda.CUDAGraph(), self._place
        try:
            with torch.cuda.graph(graph, pool, stream, capture_error_mode="thread_local"):
                loss = self.loss(inputs, total)
                gradients = torch.autograd.grad(self.scaled(loss), self.values, allow_unused=True)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise PluginError(
                f"The module of the backbone {self.name} says that its passes can be captured "
                f"(`capturable = True`), and they cannot: {str(error).splitlines()[0]}. Take the "
                "attribute out, or what waits for the device."
            ) from error
        return Graph(graph, inputs, total, loss.detach(), gradients, held)

    @cached_property
    def _place(self) -> tuple[Any, torch.cuda.Stream]:
        """Memory that the graphs share, since one runs at a time, and a stream to capture on."""
        return torch.cuda.graph_pool_handle(), torch.cuda.Stream(self.device)

    def _has_room(self) -> bool:
        """A graph keeps its memory to itself: at most what was taken so far at once."""
        free, _ = torch.cuda.mem_get_info(self.device)
        return free > 2 * torch.cuda.max_memory_allocated(self.device)

    def _hooked(self) -> bool:
        """Whether something looks on in Python, which a replay would leave out."""
        return any(
            part._forward_hooks or part._forward_pre_hooks or part._backward_hooks
            for part in self.module.modules()
        )
