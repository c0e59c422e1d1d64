"""Learning-rate schedules: factors of the peak rate, from the first step to the last."""

from __future__ import annotations

from itertools import pairwise
from math import cos, pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.registry import Registry
from loomlm_optimization import schedules
from loomlm_optimization.config import (
    ConstantConfig,
    CosineConfig,
    LinearConfig,
    WarmupStableDecayConfig,
)

pytestmark = pytest.mark.one_backend

COUNTS = st.one_of(st.integers(0, 300), st.floats(0, 0.99))
FLOORS = st.floats(0, 1)
CONFIGS = st.one_of(
    st.builds(ConstantConfig, COUNTS),
    st.builds(LinearConfig, COUNTS, FLOORS),
    st.builds(CosineConfig, COUNTS, FLOORS),
    st.builds(WarmupStableDecayConfig, COUNTS, st.floats(0.01, 0.99), FLOORS),
    st.builds(WarmupStableDecayConfig, COUNTS, st.integers(1, 300), FLOORS),
)
FUNCTIONS = {
    ConstantConfig: schedules.constant,
    LinearConfig: schedules.linear,
    CosineConfig: schedules.cosine,
    WarmupStableDecayConfig: schedules.warmup_stable_decay,
}


def factors(config, steps: int) -> list[float]:
    return [FUNCTIONS[type(config)](config, step, steps) for step in range(1, steps + 1)]


@given(CONFIGS, st.integers(1, 200))
def test_it_rises_to_the_warm_ups_end_falls_after_it_and_stays_above_its_floor(config, steps):
    values = factors(config, steps)
    share = config.warmup < 1
    warmup = min(steps, round(config.warmup * steps) if share else config.warmup)

    assert all(0 < value <= 1 for value in values[:warmup])
    assert all(getattr(config, "floor", 1) <= value <= 1 for value in values[warmup:])
    assert all(a < b for a, b in pairwise(values[:warmup]))
    assert all(a >= b - 1e-12 for a, b in pairwise(values[warmup:]))
    if warmup < steps:
        assert values[warmup] == 1
        assert values[warmup - 1 if warmup else 0] == 1


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (ConstantConfig(), [1] * 10),
        (ConstantConfig(warmup=4), [0.25, 0.5, 0.75, *[1] * 7]),
        (LinearConfig(), [1 - i / 10 for i in range(10)]),
        (LinearConfig(warmup=2), [0.5, 1, *[1 - i / 8 for i in range(8)]]),
        (LinearConfig(warmup=0.2, floor=0.5), [0.5, 1, *[1 - i / 16 for i in range(8)]]),
        (CosineConfig(warmup=2), [0.5, 1, *[(1 + cos(pi * i / 8)) / 2 for i in range(8)]]),
        (
            CosineConfig(floor=0.1),
            [0.1 + 0.9 * (1 + cos(pi * i / 10)) / 2 for i in range(10)],
        ),
        (WarmupStableDecayConfig(warmup=2, decay=4), [0.5, *[1] * 6, 0.75, 0.5, 0.25]),
        (WarmupStableDecayConfig(decay=0.2, floor=0.5), [*[1] * 9, 0.75]),
        (WarmupStableDecayConfig(warmup=8, decay=0.5), [*[i / 8 for i in range(1, 9)], 1, 0.5]),
        (LinearConfig(warmup=20), [i / 20 for i in range(1, 11)]),
    ],
)
def test_values_of_ten_steps(config, expected):
    assert factors(config, 10) == pytest.approx(expected)


def test_one_step_has_the_full_rate():
    for config in (ConstantConfig(), LinearConfig(), CosineConfig(), WarmupStableDecayConfig()):
        assert factors(config, 1) == [1]


def test_the_registry_has_them_all_and_a_default():
    registry = Registry.load()

    assert registry.names("schedule") == ["constant", "cosine", "linear", "warmup_stable_decay"]
    assert registry.default("schedule") == "linear"
    for name in registry.names("schedule"):
        component = registry.find("schedule", name).component
        assert component.load() is FUNCTIONS[component.config]


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant", "warmup_stable_decay"])
@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("warmup = -1", "must be >= 0: -1"),
        ("warmup = 2.5", "warmup must be whole steps, or a share below 1, got 2.5"),
        ('warmup = "10%"', "expected a whole number or a number"),
    ],
)
def test_a_warm_up_is_whole_steps_or_a_share(config_file, loomlm_command, schedule, keys, said):
    path = config_file(schedule=f'{{ type = "{schedule}", {keys} }}')

    done = loomlm_command("config", "check", path)

    assert done.code == 2
    assert said in " ".join(done.err.split())
