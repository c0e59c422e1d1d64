"""The built-in optimizers in PyTorch: fused kernels on whole tensors, and on gathered rows.

An optimizer is built from its config; `slots` names its state, `update` carries one step out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from attrs import frozen
from torch import Tensor
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd


@frozen
class AdamW:
    """AdamW, as the reference of the `adamw` component says."""

    config: Any

    @property
    def slots(self) -> tuple[str, ...]:
        return ("mean", "square")

    @torch.no_grad()
    def update(
        self,
        values: list[Tensor],
        gradients: list[Tensor],
        slots: Sequence[list[Tensor]],
        step: int,
        learning_rate: float,
        decay: bool,
        divisor: Tensor,
        masked: Tensor,
    ) -> None:
        """Change values and slots in place, by gradients / divisor; not where masked is 1."""
        mean, square = slots
        # The kernel adds 1 before it uses the step.
        steps = [torch.full((), step - 1.0, device=value.device) for value in values]
        adamw(
            values,
            gradients,
            mean,
            square,
            [],
            steps,
            fused=True,
            grad_scale=divisor,
            found_inf=masked,
            amsgrad=False,
            beta1=self.config.beta1,
            beta2=self.config.beta2,
            lr=learning_rate,
            weight_decay=self.config.weight_decay if decay else 0.0,
            eps=self.config.epsilon,
            maximize=False,
        )


@frozen
class SGD:
    """SGD, as the reference of the `sgd` component says."""

    config: Any

    @property
    def slots(self) -> tuple[str, ...]:
        return ("momentum",) if self.config.momentum else ()

    @torch.no_grad()
    def update(
        self,
        values: list[Tensor],
        gradients: list[Tensor],
        slots: Sequence[list[Tensor]],
        step: int,
        learning_rate: float,
        decay: bool,
        divisor: Tensor,
        masked: Tensor,
    ) -> None:
        """Change values and slots in place, by gradients / divisor; not where masked is 1."""
        momentum: list[Tensor | None] = list(slots[0]) if slots else [None] * len(values)
        sgd(
            values,
            gradients,
            momentum,
            fused=True,
            grad_scale=divisor,
            found_inf=masked,
            weight_decay=self.config.weight_decay if decay else 0.0,
            momentum=self.config.momentum,
            lr=learning_rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
