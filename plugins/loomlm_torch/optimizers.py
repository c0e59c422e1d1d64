"""The built-in optimizers in PyTorch: fused kernels on whole tensors, and on gathered rows.

An optimizer is built from its config. `slots(parameter)` names a parameter's state; parameters
with the same slots, decay and rate come together to `update`, which carries one step out in place:
by gradients / divisor, and not at all where `masked` is 1.
"""

from __future__ import annotations

from typing import Any

import torch
from attrs import frozen
from torch import Tensor
from torch.optim.sgd import sgd

from loomlm.plugin import Parameter
from loomlm_torch.updates import GroupContext

Slots = dict[str, list[Tensor]]


@frozen
class AdamW:
    """AdamW, as the reference of the `adamw` component says."""

    config: Any

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        return ("mean", "square")

    def update(
        self, values: list[Tensor], gradients: list[Tensor], slots: Slots, context: GroupContext
    ) -> None:
        """Change values and slots in place."""
        step = torch.full((), float(context.step), device=values[0].device)
        # The kernel of torch.optim.AdamW, which itself would count a step for each tensor.
        torch._fused_adamw_(  # pyright: ignore[reportPrivateImportUsage]
            values,
            gradients,
            slots["mean"],
            slots["square"],
            [],
            [step] * len(values),
            lr=context.learning_rate,
            beta1=self.config.beta1,
            beta2=self.config.beta2,
            weight_decay=self.config.weight_decay if context.decay else 0.0,
            eps=self.config.epsilon,
            amsgrad=False,
            maximize=False,
            grad_scale=context.divisor,
            found_inf=context.masked,
        )


@frozen
class SGD:
    """SGD, as the reference of the `sgd` component says."""

    config: Any

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        return ("momentum",) if self.config.momentum else ()

    def update(
        self, values: list[Tensor], gradients: list[Tensor], slots: Slots, context: GroupContext
    ) -> None:
        """Change values and slots in place."""
        sgd(
            values,
            gradients,
            [*slots["momentum"]] if slots else [None] * len(values),
            fused=True,
            grad_scale=context.divisor,
            found_inf=context.masked,
            weight_decay=self.config.weight_decay if context.decay else 0.0,
            momentum=self.config.momentum,
            lr=context.learning_rate,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )


@frozen
class Muon:
    """Muon for hidden matrices and AdamW for the rest, as the reference of `muon` says."""

    config: Any

    def slots(self, parameter: Parameter) -> tuple[str, ...]:
        if parameter.role == "matrix" and len(parameter.shape) == 2 and not parameter.sparse:
            return ("momentum",)
        return ("mean", "square")

    def update(
        self, values: list[Tensor], gradients: list[Tensor], slots: Slots, context: GroupContext
    ) -> None:
        """Change values and slots in place."""
        if "momentum" not in slots:
            AdamW(self.config).update(values, gradients, slots, context)
            return
        alike: dict[torch.Size, tuple[list[Tensor], list[Tensor], list[Tensor]]] = {}
        for members in zip(values, gradients, slots["momentum"], strict=True):
            lists = alike.setdefault(members[0].shape, ([], [], []))
            for tensors, tensor in zip(lists, members, strict=True):
                tensors.append(tensor)
        for shape_values, shape_gradients, momenta in alike.values():
            self._update_alike(shape_values, shape_gradients, momenta, context)

    def _update_alike(
        self,
        values: list[Tensor],
        gradients: list[Tensor],
        momenta: list[Tensor],
        context: GroupContext,
    ) -> None:
        """Update matrices of one shape: small ones are orthogonalized faster together.

        A masked update goes by a gradient of 0, a momentum of 1 and a rate of 0, all exact.
        """
        rows, columns = values[0].shape
        masked = context.masked > 0
        gradient = torch.where(masked, 0.0, torch.stack(gradients) / context.divisor)
        momentum = torch.where(masked, 1.0, self.config.momentum)
        rate = torch.where(masked, 0.0, context.learning_rate)
        for kept, new in zip(momenta, gradient.unbind(), strict=True):
            kept.mul_(momentum).add_(new)
        direction = gradient + self.config.momentum * torch.stack(momenta)
        half = context.precision in ("bf16", "fp16")
        turned = orthogonal(direction.bfloat16() if half else direction).float()
        change = turned * (rate * (0.2 * max(rows, columns) ** 0.5))
        shrink = 1 - rate * (self.config.weight_decay if context.decay else 0.0)
        for value, difference in zip(values, change.unbind(), strict=True):
            value.mul_(shrink).sub_(difference)


def orthogonal(matrices: Tensor) -> Tensor:
    """Nearly U V^T for each U S V^T of (matrices, rows, columns): 5 Newton-Schulz steps.

    Singular values end between 0.7 and 1.2, but for very small ones: the coefficients are Jordan's
    (2024), which reach that soon and come no nearer to 1.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonal(matrices.mT).mT
    matrices = matrices / (torch.linalg.matrix_norm(matrices, keepdim=True) + 1e-7)
    for _ in range(5):
        gram = matrices @ matrices.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
        matrices = torch.baddbmm(matrices, polynomial, matrices, beta=3.4445)
    return matrices
