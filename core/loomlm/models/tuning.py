"""What a stage that goes on from other weights trains, and how fast: `freeze`, `layer_decay`."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from attrs import evolve

from loomlm.contracts import Parameter
from loomlm.errors import UsageError, did_you_mean

Layout = tuple[Parameter, ...]


def tuned(layout: Layout, freeze: Sequence[str], layer_decay: float | None, place: str) -> Layout:
    """A model's layout as a stage trains it.

    freeze: patterns of canonical names, as of `fnmatch`. layer_decay: what the learning rate of
    each layer is multiplied by, once for each that stands between it and the head (Howard 2018,
    Clark 2020). place: the trainer's, in messages.

    Raises UsageError for a pattern that freezes nothing, and where nothing would be trained.
    """
    if layer_decay is not None:
        deep = depths(layout)
        top = max(deep.values())
        shares = [layer_decay ** (top - deep[p.name]) for p in layout]
        layout = tuple(
            evolve(p, learning_rate_scale=p.learning_rate_scale * share)
            for p, share in zip(layout, shares, strict=True)
        )
    if freeze:
        frozen = {name for pattern in freeze for name in _frozen_by(pattern, layout, place)}
        # A row that never learns needs no gradient of rows.
        layout = tuple(
            evolve(p, trainable=False, sparse=False) if p.name in frozen else p for p in layout
        )
        if not any(p.trainable and p.tied_to is None for p in layout):
            raise UsageError(f"{place}.freeze: nothing would be left to train. Freeze less.")
    return layout


def _frozen_by(pattern: str, layout: Layout, place: str) -> list[str]:
    """The names that a pattern freezes; what is tied to another parameter has no values."""
    found = [p for p in layout if fnmatchcase(p.name, pattern)]
    if not found:
        names = [p.name for p in layout if p.tied_to is None]
        raise UsageError(
            f"{place}.freeze: {pattern!r} is the name of no parameter. "
            f"{did_you_mean(pattern, names)} `loomlm explain` lists them."
        )
    stored = [p.name for p in found if p.tied_to is None]
    if not stored:
        tied = found[0]
        raise UsageError(
            f"{place}.freeze: {tied.name} shares the values of {tied.tied_to}. Freeze that."
        )
    return stored


def depths(layout: Layout) -> dict[str, int]:
    """How far each parameter is from a model's input: 0 for embeddings, most for the head.

    A backbone may say it itself, by `depth` of its parameters. Else a layer has the first number in
    the names of its parameters, as `layers.0.mlp.up.weight`; numbers are counted, so that some may
    be missing, and stacks side by side, as the two of a bidirectional network, are equally deep.
    What stands before the layers belongs to the embeddings, what stands behind them to the last.
    """
    body = [p for p in layout if not p.name.startswith("head.")]
    numbers = sorted({number for p in body if (number := _number(p)) is not None})
    rank = {number: index + 1 for index, number in enumerate(numbers)}
    found, last = {}, 0
    for parameter in body:
        number = _number(parameter)
        if parameter.depth is not None:
            depth = parameter.depth
        elif parameter.role == "embedding":
            depth = 0
        elif number is not None:
            depth = rank[number]
        else:
            depth = max(rank.values(), default=1) if last or not rank else 0
        last = max(last, depth)
        found[parameter.name] = depth
    top = max(found.values(), default=0) + 1
    return {p.name: found.get(p.name, top) for p in layout}


def _number(parameter: Parameter) -> int | None:
    numbers = (int(part) for part in parameter.name.split(".") if part.isdecimal())
    return next(numbers, None)
