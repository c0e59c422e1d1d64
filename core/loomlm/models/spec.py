"""Puts a backbone, a task's head and its loss together into what a trainer builds."""

from __future__ import annotations

from math import sqrt
from typing import Any

from attrs import evolve

from loomlm.contracts import (
    Backbone,
    BackboneContext,
    BatchSpec,
    Constant,
    Facts,
    Head,
    ModelSpec,
    Parameter,
    Task,
    Tokenizer,
    Uniform,
)


def model_spec(
    name: str,
    config: Any,
    backbone: Backbone,
    task: Task,
    facts: Facts,
    tokenizer: Tokenizer,
    batch: BatchSpec,
) -> ModelSpec:
    """The spec of a model: `backbone.*` are the backbone's parameters, `head.*` the head's."""
    head = task.head(facts)
    context = BackboneContext(
        vocab_size=tokenizer.vocab_size, pad_id=tokenizer.pad_id, reads=head.reads
    )
    body = [
        evolve(
            parameter,
            name=f"backbone.{parameter.name}",
            tied_to=f"backbone.{parameter.tied_to}" if parameter.tied_to else None,
        )
        for parameter in backbone.parameters(context)
    ]
    return ModelSpec(
        backbone=name,
        config=config,
        vocab_size=tokenizer.vocab_size,
        pad_id=tokenizer.pad_id,
        layout=(*body, *_head_layout(head, backbone.width)),
        head=head,
        loss=task.loss(facts),
        batch=backbone.batch_spec(batch),
    )


def _head_layout(head: Head, width: int) -> tuple[Parameter, ...]:
    return (
        Parameter(
            name="head.weight",
            shape=(head.outputs, width),
            init=Uniform(sqrt(6 / (head.outputs + width))),
            role="matrix",
            decay=True,
        ),
        Parameter(
            name="head.bias",
            shape=(head.outputs,),
            init=Constant(0.0),
            role="vector",
            decay=False,
        ),
    )
