"""When a pass is captured, and what an engine makes of one that is replayed.

What a GPU does is in test_cuda.py; here a graph is one that computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from attrs import define, evolve, field
from torch import Tensor, nn

from loomlm.contracts import StepContext
from loomlm.errors import PluginError
from loomlm_torch import engine as engines
from loomlm_torch.graphs import Graphs, capturable
from loomlm_torch.modules import ModuleForm
from loomlm_torch.wrapped import Wrapped

from ..small import SmallConfig, batch, cut, state

pytestmark = pytest.mark.one_backend("torch")


@define
class Computing:
    """Computes as it is replayed, into the same tensors each time, as a CUDA graph does."""

    graphs: Graphs
    gradients: list[Tensor] = field(factory=list)

    def replay(self, given: Mapping[str, Tensor], total: Tensor) -> tuple[Tensor, list[Tensor]]:
        loss = self.graphs.loss(given, total)
        found = torch.autograd.grad(self.graphs.scaled(loss), self.graphs.values)
        self.gradients = self.gradients or [torch.empty_like(one) for one in found]
        for kept, one in zip(self.gradients, found, strict=True):
            kept.copy_(one)
        return loss.detach(), self.gradients


@pytest.fixture
def captured(monkeypatch) -> list[Computing]:
    """Has engines on the CPU capture; the graphs that they have captured."""
    made: list[Computing] = []

    def capture(self: Graphs, given: Mapping[str, Tensor]) -> Computing:
        made.append(Computing(self))
        return made[-1]

    monkeypatch.setattr(engines, "capturable", lambda *_: True)
    monkeypatch.setattr(Graphs, "_has_room", lambda self: True)
    monkeypatch.setattr(Graphs, "_capture", capture)
    return made


def losses(engine: Any, parts: int) -> list[float]:
    for step in range(1, 7):
        context = StepContext(step=step, seed=17, learning_rate=0.01)
        engine.train_step(cut(batch(step), parts), context)
    return [one.loss for one in engine.scalars()]


@pytest.mark.parametrize("parts", [1, 2])
def test_replayed_gradients_are_those_of_plain_passes(make_engine, captured, parts):
    with pytest.MonkeyPatch.context() as plainly:
        plainly.setattr(Graphs, "_has_room", lambda self: False)
        plain = make_engine(SmallConfig(sparse=False))
        expected = losses(plain, parts)
    assert not captured

    replayed = make_engine(SmallConfig(sparse=False))

    assert losses(replayed, parts) == expected
    assert len(captured) == 1
    for name, value in state(plain).items():
        assert np.array_equal(state(replayed)[name], value), name


@pytest.fixture
def graphs(captured) -> Graphs:
    layer = nn.Linear(2, 2)

    def loss(given: Mapping[str, Tensor], total: Tensor) -> Tensor:
        return layer(given["x"]).sum() / total

    return Graphs("mine", layer, loss, lambda x: x, [layer.weight], torch.device("cpu"))


def test_each_shape_is_captured_two_steps_after_its_first(graphs, captured):
    narrow, wide = {"x": torch.zeros(1, 2)}, {"x": torch.zeros(3, 2)}

    assert [graphs.of(narrow, step) is None for step in (1, 1, 2)] == [True] * 3
    first = graphs.of(narrow, 3)
    assert first is not None
    assert graphs.of(wide, 4) is None
    assert graphs.of(narrow, 4) is first
    assert graphs.of(wide, 6) is not first
    assert len(captured) == 2


def test_a_module_that_something_looks_into_is_not_captured(graphs, captured):
    graphs.module.register_forward_hook(lambda *_: None)

    assert [graphs.of({"x": torch.zeros(1, 2)}, step) for step in (1, 9, 10)] == [None] * 3
    assert not captured


def test_only_a_backbone_that_says_so_is_captured(make_engine):
    engine = make_engine(SmallConfig(sparse=False))
    gpu = torch.device("cuda")
    assert not capturable(engine.spec, engine.module, gpu)

    engine.module.backbone.capturable = True

    assert capturable(engine.spec, engine.module, gpu)
    assert not capturable(engine.spec, engine.module, torch.device("cpu"))
    sparse = tuple(evolve(one, sparse=one.role == "embedding") for one in engine.spec.layout)
    assert not capturable(evolve(engine.spec, layout=sparse), engine.module, gpu)


@pytest.mark.parametrize("says", [True, False])
def test_a_module_of_ones_own_says_so_itself(make_engine, says):
    class Mine(nn.Embedding):
        capturable = says

        def __init__(self, vocab_size: int) -> None:
            super().__init__(vocab_size, 4)

    form = ModuleForm(name="mine", module=Mine, width=4, causal=True, longest=None)
    spec = evolve(make_engine().spec, config=Nothing())

    assert Wrapped(form, spec).capturable is says


@define
class Nothing:
    """A config without keys."""


@pytest.fixture
def capturing(monkeypatch) -> None:
    """Has passes be captured on the CPU, where they are just computed once."""
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: None)
    monkeypatch.setattr(torch.cuda, "graph", lambda *_, **__: nullcontext())
    monkeypatch.setattr(Graphs, "_place", (None, None))
    monkeypatch.setattr(Graphs, "_has_room", lambda self: True)


@pytest.mark.usefixtures("capturing")
def test_buffers_that_a_graph_reads_outlive_their_replacement():
    layer = nn.Linear(2, 2)
    layer.register_buffer("table", torch.arange(4.0), persistent=False)
    first = layer.table

    def loss(given: Mapping[str, Tensor], total: Tensor) -> Tensor:
        return layer(given["x"]).sum() / total

    graphs = Graphs("mine", layer, loss, lambda x: x, [layer.weight], torch.device("cpu"))
    graphs.of({"x": torch.ones(1, 2)}, 1)
    graph = graphs.of({"x": torch.ones(1, 2)}, 3)
    layer.table = torch.arange(8.0)

    assert graph is not None
    assert any(held is first for held in graph.held)


@pytest.mark.usefixtures("capturing")
def test_who_cannot_keep_the_promise_is_told():
    layer = nn.Linear(2, 2)

    def waits(given: Mapping[str, Tensor], total: Tensor) -> Tensor:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nMore.")

    graphs = Graphs("mine", layer, waits, lambda x: x, [layer.weight], torch.device("cpu"))
    graphs.of({"x": torch.zeros(1, 2)}, 1)

    with pytest.raises(PluginError, match=r"backbone mine says .*stream is capturing\. Take"):
        graphs.of({"x": torch.zeros(1, 2)}, 3)
