"""The built-in optimizers and learning-rate schedules: their keys and their arithmetic.

How a backend carries an optimizer out is the backend's own builder; the numpy functions here say
what it must come to.
"""

from loomlm.plugin import Component, hookimpl
from loomlm_optimization.config import (
    AdamWConfig,
    ConstantConfig,
    CosineConfig,
    LinearConfig,
    MuonConfig,
    SGDConfig,
    WarmupStableDecayConfig,
)

loomlm_api = (1, 1)


@hookimpl
def loomlm_optimizers() -> list[Component]:
    return [
        Component(
            kind="optimizer",
            name="adamw",
            summary="Adam with decoupled weight decay (Loshchilov and Hutter 2019)",
            target="loomlm_optimization.optimizers:adamw",
            config=AdamWConfig,
            default=True,
            # At 1e-3 some small transformers let rounding grow a thousandfold.
            trials={"default": {"learning_rate": 3e-4}},
        ),
        Component(
            kind="optimizer",
            name="muon",
            summary="Muon for hidden matrices (Jordan 2024, Liu 2025), AdamW for the rest",
            target="loomlm_optimization.optimizers:muon",
            config=MuonConfig,
        ),
        Component(
            kind="optimizer",
            name="sgd",
            summary="stochastic gradient descent, with momentum if asked for",
            target="loomlm_optimization.optimizers:sgd",
            config=SGDConfig,
            trials={
                "plain": {"learning_rate": 0.05},
                "momentum": {"learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.01},
            },
        ),
    ]


@hookimpl
def loomlm_schedules() -> list[Component]:
    return [
        _schedule("constant", "warm-up, then the full rate", ConstantConfig),
        _schedule("linear", "warm-up, then a straight line down", LinearConfig, default=True),
        _schedule("cosine", "warm-up, then half a cosine down (Loshchilov 2017)", CosineConfig),
        _schedule(
            "warmup_stable_decay",
            "warm-up, the full rate, then a straight line down (Hu 2024)",
            WarmupStableDecayConfig,
        ),
    ]


def _schedule(name: str, summary: str, config: type, default: bool = False) -> Component:
    return Component(
        kind="schedule",
        name=name,
        summary=summary,
        target=f"loomlm_optimization.schedules:{name}",
        config=config,
        default=default,
    )
