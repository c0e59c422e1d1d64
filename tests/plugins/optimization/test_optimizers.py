"""The reference rules in numpy are those of PyTorch's own optimizers."""

from __future__ import annotations

import numpy as np
import pytest

from loomlm.registry import Registry
from loomlm_optimization.config import AdamWConfig, SGDConfig
from loomlm_optimization.optimizers import adamw, sgd

torch = pytest.importorskip("torch")

STEPS = 12


def reference(rule, config, decay: bool, slots: tuple[str, ...]) -> np.ndarray:
    generator = np.random.default_rng(0)
    value = generator.normal(size=(7, 5))
    state = {slot: np.zeros_like(value) for slot in slots}
    for step in range(1, STEPS + 1):
        gradient = generator.normal(size=value.shape)
        value = rule(config, value, gradient, state, step, 0.1 / step, decay)
    return value


def torchs(make) -> np.ndarray:
    generator = np.random.default_rng(0)
    value = torch.nn.Parameter(torch.from_numpy(generator.normal(size=(7, 5))))
    optimizer = make([value])
    for step in range(1, STEPS + 1):
        value.grad = torch.from_numpy(generator.normal(size=value.shape))
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

    ours = reference(adamw, config, decay, ("mean", "square"))

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

    ours = reference(sgd, config, decay, ("momentum",))

    assert ours == pytest.approx(expected, rel=1e-12)


def test_the_registry_has_them_with_their_rules():
    registry = Registry.load()

    assert registry.default("optimizer") == "adamw"
    assert registry.find("optimizer", "adamw").component.load() is adamw
    assert registry.find("optimizer", "sgd").component.load() is sgd
