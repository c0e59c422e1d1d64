"""Several updates on a backend come to what the reference rules in numpy say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from attrs import define, field
from scipy.special import log_softmax

from loomlm.contracts import Batch, Engine, Parameter, StepContext
from loomlm_optimization import optimizers as reference
from loomlm_optimization.config import AdamWConfig, MuonConfig, SGDConfig

from ..small import SmallConfig, batch, cut

STEPS = 6
CONFIGS = {"adamw": AdamWConfig, "muon": MuonConfig, "sgd": SGDConfig}


def slots_of(optimizer: str, parameter: Parameter) -> tuple[str, ...]:
    if optimizer == "sgd" or (optimizer == "muon" and parameter.role == "matrix"):
        return ("momentum",)
    return ("mean", "square")


@define
class Follower:
    """The same model in float64: gradients by hand, updates by the reference rules.

    It goes by the layout alone: which rows of a sparse table take part, whose decay applies.
    """

    engine: Engine
    name: str
    keys: Mapping[str, Any]
    clip: float | str
    values: dict[str, np.ndarray] = field(init=False)
    slots: dict[str, dict[str, np.ndarray]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.values = {n: a.astype(np.float64) for n, a in self.engine.state("model")}
        self.slots = {
            parameter.name: {
                slot: np.zeros(parameter.shape) for slot in slots_of(self.name, parameter)
            }
            for parameter in self.engine.spec.layout
        }

    def gradients(self, data: Batch) -> tuple[dict[str, np.ndarray], float]:
        """Of the parameters that train, with the loss: the chain rule by hand."""
        w = {name.removeprefix("backbone."): value for name, value in self.values.items()}
        tokens, share = data["tokens"], data["weight"] / data["weight"].sum(dtype=np.float64)
        mean = w["table.weight"][tokens].mean(axis=1)
        fixed = np.tanh(mean @ w["fixed.weight"].T)
        hidden = [fixed @ w["slow.weight"].T]
        tall = []
        for index in range(2):
            tall.append(np.tanh(hidden[-1] @ w[f"tall.{index}.weight"].T))
            hidden.append(hidden[-1] + tall[-1] @ w[f"flat.{index}.weight"].T)
        odds = log_softmax(hidden[-1] @ w["head.weight"].T + w["head.bias"], axis=1)
        right = np.eye(odds.shape[1])[data["label"]]

        back = (np.exp(odds) - right) * share[:, None]
        found = {"head.weight": back.T @ hidden[-1], "head.bias": back.sum(axis=0)}
        back = back @ w["head.weight"]
        for index in (1, 0):
            found[f"flat.{index}.weight"] = back.T @ tall[index]
            inner = back @ w[f"flat.{index}.weight"] * (1 - tall[index] ** 2)
            found[f"tall.{index}.weight"] = inner.T @ hidden[index]
            back = back + inner @ w[f"tall.{index}.weight"]
        found["slow.weight"] = back.T @ fixed
        back = back @ w["slow.weight"] * (1 - fixed**2) @ w["fixed.weight"]
        table = found["table.weight"] = np.zeros_like(w["table.weight"])
        np.add.at(table, tokens, back[:, None] / tokens.shape[1])
        named = {n if n.startswith("head") else f"backbone.{n}": g for n, g in found.items()}
        return named, float(-(odds * right).sum(axis=1) @ share)

    def step(self, data: Batch, step: int, learning_rate: float) -> tuple[float, float]:
        """One update; gives the loss and the gradients' norm."""
        gradients, loss = self.gradients(data)
        norm = float(np.sqrt(sum((gradient**2).sum() for gradient in gradients.values())))
        divisor = 1 if isinstance(self.clip, str) else max(1, norm / self.clip)
        for parameter in self.engine.spec.layout:
            if not parameter.trainable:
                continue
            name = parameter.name
            rows = np.unique(data["tokens"]) if parameter.sparse else slice(None)
            slots = {slot: array[rows] for slot, array in self.slots[name].items()}
            self.values[name][rows] = getattr(reference, self.name)(
                CONFIGS[self.name](**self.keys),
                self.values[name][rows],
                gradients[name][rows] / divisor,
                slots,
                step,
                learning_rate * parameter.learning_rate_scale,
                parameter,
            )
            for slot, array in slots.items():
                self.slots[name][slot][rows] = array
        return loss, norm


def train(engine: Engine, pieces: int = 1) -> Iterator[tuple[Batch, int, float]]:
    for step in range(1, STEPS + 1):
        data, rate = batch(step), 0.1 / step
        context = StepContext(step=step, seed=17, learning_rate=rate)
        engine.train_step(cut(data, pieces), context)
        yield data, step, rate


@pytest.mark.parametrize(("clip", "pieces"), [("off", 1), (0.05, 3), (10.0, 3)])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("adamw", {"weight_decay": 0.0}),
        ("adamw", {"beta1": 0.8, "beta2": 0.9, "epsilon": 1e-4, "weight_decay": 0.3}),
        ("muon", {"weight_decay": 0.0}),
        ("muon", {"momentum": 0.8, "beta2": 0.9, "epsilon": 1e-4, "weight_decay": 0.3}),
        ("sgd", {}),
        ("sgd", {"momentum": 0.9, "weight_decay": 0.3}),
    ],
)
def test_updates_are_those_of_the_reference(make_engine, name, keys, clip, sparse, pieces):
    engine = make_engine(SmallConfig(sparse), name, keys, gradient_clip=clip)
    follower = Follower(engine, name, keys, clip)

    expected = [follower.step(*taken) for taken in train(engine, pieces)]

    scalars = engine.scalars()
    assert [s.loss for s in scalars] == pytest.approx([loss for loss, _ in expected], rel=1e-4)
    norms = [norm for _, norm in expected]
    assert [s.gradient_norm for s in scalars] == pytest.approx(norms, rel=1e-4)
    for parameter, value in engine.state("model"):
        assert value == pytest.approx(follower.values[parameter], rel=1e-3, abs=1e-5)
    for slot_name, value in engine.state("optimizer"):
        parameter, _, slot = slot_name.rpartition(".")
        assert value == pytest.approx(follower.slots[parameter][slot], rel=1e-3, abs=1e-6)


def test_muon_is_for_hidden_matrices_alone(make_engine):
    engine = make_engine(SmallConfig(sparse=False), "muon")

    state = [name.rpartition(".") for name, _ in engine.state("optimizer")]

    with_momentum = {name for name, _, slot in state if slot == "momentum"}
    assert with_momentum == {
        "backbone.slow.weight",
        *(f"backbone.{form}.{index}.weight" for form in ("tall", "flat") for index in range(2)),
    }
    others = {name for name, _, slot in state if slot in ("mean", "square")}
    assert others == {"backbone.table.weight", "head.weight", "head.bias"}


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_muons_step_has_the_size_of_adamws(make_engine, precision):
    """Its root mean square is 0.2 of the learning rate, where all singular values become 1."""
    engine = make_engine(optimizer="muon", optimizer_keys={"weight_decay": 0}, precision=precision)
    before = dict(engine.state("model"))["backbone.tall.0.weight"].copy()

    engine.train_step([batch(1, size=64)], StepContext(step=1, seed=17, learning_rate=0.1))

    moved = dict(engine.state("model"))["backbone.tall.0.weight"] - before
    singular = np.linalg.svd(moved / (0.1 * 0.2 * 3))[1]
    assert np.all(singular < 1.25)
    assert np.all(singular[:4] > 0.65)


def test_an_optimizer_without_state_saves_none(make_engine):
    assert not list(make_engine(optimizer="sgd").state("optimizer"))
    slots = {name.rpartition(".")[2] for name, _ in make_engine().state("optimizer")}
    assert slots == {"mean", "square"}
