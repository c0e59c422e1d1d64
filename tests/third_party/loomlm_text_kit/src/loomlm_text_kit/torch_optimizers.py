"""Lion in PyTorch."""

from __future__ import annotations

from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from loomlm.plugin import Parameter
from loomlm_text_kit.config import LionConfig


@frozen
class Lion:
    """Called with the config; see "A backbone and its builders" in Loomlm's documentation."""

    config: LionConfig

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        return ("momentum",)

    def update(
        self,
        values: list[Tensor],
        gradients: list[Tensor],
        slots: dict[str, list[Tensor]],
        context: Any,
    ) -> None:
        """Change values and slots in place.

        A masked update goes by rates of 0, which change nothing: to ask whether it is masked would
        wait for the device.
        """
        config, masked = self.config, context.masked > 0
        rate = torch.where(masked, 0.0, context.learning_rate)
        pull = torch.where(masked, 0.0, 1 - config.beta2)
        shrink = 1 - rate * (config.weight_decay if context.decay else 0.0)
        for value, given, momentum in zip(values, gradients, slots["momentum"], strict=True):
            gradient = torch.where(masked, 0.0, given / context.divisor)
            change = gradient - momentum
            direction = (momentum + (1 - config.beta1) * change).sign_()
            momentum.add_(pull * change)
            value.mul_(shrink).sub_(direction.mul_(rate))
