"""The reference rules in numpy are those of PyTorch's own optimizers."""

from __future__ import annotations

import numpy as np
import pytest

from loomlm.contracts import Normal, Parameter
from loomlm.registry import Registry
from loomlm_optimization.config import AdamWConfig, MuonConfig, SGDConfig
from loomlm_optimization.optimizers import adamw, muon, orthogonal, sgd

torch = pytest.importorskip("torch")

STEPS = 12


def reference(rule, config, slots: tuple[str, ...], shape=(7, 5), **form) -> np.ndarray:
    """The value after some steps; `form` is the parameter's."""
    form = {"role": "matrix", "decay": True, **form}
    parameter = Parameter(name="p", shape=shape, init=Normal(1), **form)
    generator = np.random.default_rng(0)
    value = generator.normal(size=shape)
    state = {slot: np.zeros_like(value) for slot in slots}
    for step in range(1, STEPS + 1):
        gradient = generator.normal(size=shape)
        value = rule(config, value, gradient, state, step, 0.1 / step, parameter)
    return value


def torchs(make, shape=(7, 5)) -> np.ndarray:
    generator = np.random.default_rng(0)
    value = torch.nn.Parameter(torch.from_numpy(generator.normal(size=shape)))
    optimizer = make([value])
    for step in range(1, STEPS + 1):
        value.grad = torch.from_numpy(generator.normal(size=shape))
        optimizer.param_groups[0]["lr"] = 0.1 / step
        optimizer.step()
    return value.detach().numpy()


@pytest.mark.parametrize("decay", [True, False])
@pytest.mark.parametrize(
    "config",
    [AdamWConfig(), AdamWConfig(beta1=0.5, beta2=0.7, epsilon=1e-2, weight_decay=0.3)],
)
def test_adamw(config, decay):
    expected = torchs(
        lambda values: torch.optim.AdamW(
            values,
            betas=(config.beta1, config.beta2),
            eps=config.epsilon,
            weight_decay=config.weight_decay if decay else 0,
            foreach=False,
        )
    )

    ours = reference(adamw, config, ("mean", "square"), decay=decay)

    assert ours == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("decay", [True, False])
@pytest.mark.parametrize(
    "config", [SGDConfig(), SGDConfig(momentum=0.9), SGDConfig(momentum=0.5, weight_decay=0.3)]
)
def test_sgd(config, decay):
    expected = torchs(
        lambda values: torch.optim.SGD(
            values,
            momentum=config.momentum,
            weight_decay=config.weight_decay if decay else 0,
            foreach=False,
        )
    )

    ours = reference(sgd, config, ("momentum",), decay=decay)

    assert ours == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("decay", [True, False])
@pytest.mark.parametrize("shape", [(7, 5), (5, 7), (6, 6)])
@pytest.mark.parametrize("config", [MuonConfig(), MuonConfig(momentum=0.5, weight_decay=0.3)])
def test_muon(config, shape, decay, monkeypatch):
    # torch's own computes in bfloat16, always; here in the float64 that it is given.
    monkeypatch.setattr(torch.Tensor, "bfloat16", lambda tensor: tensor)
    expected = torchs(
        lambda values: torch.optim.Muon(
            values,
            momentum=config.momentum,
            weight_decay=config.weight_decay if decay else 0,
            adjust_lr_fn="match_rms_adamw",
        ),
        shape,
    )

    ours = reference(muon, config, ("momentum",), shape, decay=decay)

    assert ours == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("form", [{"role": "embedding"}, {"role": "head"}, {"sparse": True}])
def test_muon_leaves_all_but_hidden_matrices_to_adamw(form):
    config = MuonConfig(beta1=0.8, beta2=0.7, epsilon=1e-3, weight_decay=0.3)
    same = AdamWConfig(beta1=0.8, beta2=0.7, epsilon=1e-3, weight_decay=0.3)

    ours = reference(muon, config, ("mean", "square"), **form)

    assert np.array_equal(ours, reference(adamw, same, ("mean", "square"), **form))


def test_orthogonal_keeps_directions_and_evens_out_sizes():
    matrix = np.random.default_rng(0).normal(size=(30, 20))
    left, _, right = np.linalg.svd(matrix, full_matrices=False)

    turned = left.T @ orthogonal(1000 * matrix) @ right.T

    assert np.all((np.diag(turned) > 0.65) & (np.diag(turned) < 1.25))
    assert turned - np.diag(np.diag(turned)) == pytest.approx(0, abs=1e-9)


def test_the_registry_has_them_with_their_rules():
    registry = Registry.load()

    assert registry.default("optimizer") == "adamw"
    assert registry.find("optimizer", "adamw").component.load() is adamw
    assert registry.find("optimizer", "sgd").component.load() is sgd
    assert registry.find("optimizer", "muon").component.load() is muon
