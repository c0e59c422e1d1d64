"""A whole model: a backbone, a linear head, and the losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loomlm.plugin import Loss, ModelSpec, Parameter, PluginError
from loomlm_torch.chunked import chunked_loss, fits, most_logits

FAR = -1e9
"""What is added to a logit that is not to be: no infinity, of which the difference is no number."""


class Model(nn.Module):
    """Backbone and head: a batch's tensors to logits.

    A backbone's forward takes the batch's tensors by name, and gives (batch, width) or
    (batch, time, width), as the head reads. One that generates has besides
    `start(batch, room) -> (hidden (batch, width), cache)`, the states behind each row's last token
    and tensors by name with a row for each row, and `step(cache, tokens (batch,)) -> hidden`, which
    changes the cache in place. `capturable = True` or `uncompiled = True` say how it may be run:
    see `graphs.py` and `compiling.py`.
    """

    def __init__(self, backbone: nn.Module, head: nn.Linear, places: bool = False) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.places = places

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Logits: (batch, outputs), or (batch, time, outputs), or (batch, places, outputs)."""
        return self.head(self.states(batch))

    def states(self, batch: Mapping[str, Tensor]) -> Tensor:
        """What the head reads, (..., width)."""
        hidden = self.backbone(batch)
        if not self.places:
            return hidden
        index = batch["places"].long()[..., None].expand(-1, -1, hidden.shape[-1])
        return hidden.gather(1, index)


def build_model(spec: ModelSpec, build_backbone: Callable[[ModelSpec], nn.Module]) -> Model:
    """The module of a spec. Raises PluginError where it and the layout differ."""
    width = next(p.shape[1] for p in spec.layout if p.name == "head.weight")
    # Not on the meta device: that imports sympy, 0.7 s, and would lose a module's buffers.
    head = nn.Linear(width, spec.head.outputs, spec.head.bias)
    model = Model(build_backbone(spec), head, spec.head.places)
    for parameter in spec.layout:
        if parameter.tied_to is not None:
            _share(model, parameter.name, parameter.tied_to)
    _check_layout(model, spec.layout)
    return model


def _share(model: nn.Module, name: str, other: str) -> None:
    """Make one parameter the same as another."""
    owner, _, attribute = name.rpartition(".")
    try:
        setattr(model.get_submodule(owner), attribute, model.get_parameter(other))
    except AttributeError as error:
        raise PluginError(
            f"The layout states that {name} shares {other}, and the module has no such "
            f"parameters: {error}."
        ) from None


def _check_layout(model: Model, layout: tuple[Parameter, ...]) -> None:
    built = {name: tuple(p.shape) for name, p in model.named_parameters()}
    stated = {p.name: p.shape for p in layout if p.tied_to is None}
    wrong = [
        *(
            f"The layout states {name} {stated[name]}, and the module has no such parameter."
            for name in stated.keys() - built.keys()
        ),
        *(
            f"The module has the parameter {name} {built[name]}, and the layout states no such "
            "parameter."
            for name in built.keys() - stated.keys()
        ),
        *(
            f"The module does not match the backbone's layout at {name}: "
            f"built {built[name]}, stated {stated[name]}."
            for name in built.keys() & stated.keys()
            if built[name] != stated[name]
        ),
    ]
    if wrong:
        # Several: one name that was written in two ways is two.
        raise PluginError("\n".join(sorted(wrong)[:4]))


def misfit(spec: ModelSpec, model: Model, batch: Mapping[str, Tensor]) -> PluginError | None:
    """Why a head cannot read what a backbone's module gives; None where it can.

    It runs the backbone: for when something has gone wrong. Whatever else does is not its affair.
    """
    try:
        with torch.inference_mode():
            shape = tuple(model.backbone(batch).shape)
    except Exception:
        return None
    reads = ("batch", "time", "width") if spec.head.reads == "tokens" else ("batch", "width")
    width = model.head.in_features
    if len(shape) != len(reads):
        return PluginError(
            f"The head reads ({', '.join(reads)}), and the module of the backbone {spec.backbone} "
            f"gives states of {len(shape)} dimensions."
        )
    if shape[-1] != width:
        return PluginError(
            f"The backbone {spec.backbone} says width {width}, and its module gives states of "
            f"width {shape[-1]}. Mend its `width`, or what the module gives."
        )
    return None


def arithmetic(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """Where a model computes in its precision; its weights are float32 in each of them."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)


def loss_function(
    module: Model, loss: Loss, precision: str, device: torch.device
) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """From a batch's tensors to the sum of its weighted losses: what training differentiates."""

    def function(batch: Mapping[str, Tensor]) -> Tensor:
        with arithmetic(precision, device):
            hidden = module.states(batch)
            rows, head = hidden.shape[:-1].numel(), module.head
            large = rows * head.out_features > most_logits(device)
            if large and fits(head, loss, precision) and not torch.compiler.is_compiling():
                return chunked_loss(head, hidden, batch, loss)
            logits = head(hidden)
        return weighted_loss(logits, batch, loss)

    return function


def loss_by_parts(model: Model, batch: Mapping[str, Tensor], loss: Loss) -> Tensor:
    """What `weighted_loss` says of a head that reads tokens, without all logits at once.

    256 rows of 256 tokens, of a vocabulary of 16,000, would be 4 GB.
    """
    hidden = model.states(batch).flatten(0, 1)
    label, weight = batch["label"].flatten(0, 1), batch["weight"].flatten()
    size = max(1, most_logits(hidden.device) // model.head.out_features)
    parts = [
        weighted_loss(
            model.head(hidden[at : at + size]),
            {"label": label[at : at + size], "weight": weight[at : at + size]},
            loss,
        )
        for at in range(0, len(hidden), size)
    ]
    return torch.stack(parts).sum()


def weighted_loss(logits: Tensor, batch: Mapping[str, Tensor], loss: Loss) -> Tensor:
    """Sum over the batch of weight times loss, in float32."""
    logits, weight = logits.float(), batch["weight"]
    if loss.kind == "cross_entropy":
        each = F.cross_entropy(
            logits.flatten(0, -2),
            batch["label"].flatten().long(),
            reduction="none",
            label_smoothing=loss.label_smoothing,
        )
        return (each * weight.flatten()).sum()
    if loss.kind == "squared_error":
        return ((logits.squeeze(-1) - batch["label"]).square() * weight).sum()
    if loss.kind == "span":
        closed = torch.where(batch["allowed"] > 0, 0.0, FAR)
        odds = F.log_softmax(logits + closed[..., None], dim=1)
        each = -odds.gather(1, batch["label"].long()[:, None]).squeeze(1).mean(dim=-1)
        return (each * weight).sum()
    label = batch["label"]
    smoothed = label * (1 - loss.label_smoothing) + loss.label_smoothing / 2
    each = F.binary_cross_entropy_with_logits(logits, smoothed, reduction="none")
    return (each.mean(dim=-1) * weight).sum()
