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
    Normal,
    Parameter,
    Task,
    Tokenizer,
    Uniform,
)
from loomlm.data.vocabularies import TwoVocabularies, tokens_of

VOCABULARY_STD = 0.02
"""Of a head over the vocabulary, as in GPT-2 (Radford 2019)."""


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
    causal = "causal" in task.needs
    of_tokens = tokens_of(task, tokenizer)
    two = isinstance(tokenizer, TwoVocabularies) and of_tokens is not tokenizer
    context = BackboneContext(
        vocab_size=of_tokens.vocab_size,
        pad_id=of_tokens.pad_id,
        reads=head.reads,
        causal=causal,
        source_vocab_size=tokenizer.vocab_size if two else None,
        fields=frozenset(field.name for field in batch.fields),
    )
    body = body_layout(backbone, context)
    return ModelSpec(
        backbone=name,
        config=config,
        vocab_size=context.vocab_size,
        pad_id=context.pad_id,
        layout=(*body, *head_layout(head, backbone)),
        head=head,
        causal=causal,
        loss=task.loss(facts),
        batch=backbone.batch_spec(batch),
        source_vocab_size=context.source_vocab_size,
    )


def body_layout(backbone: Backbone, context: BackboneContext) -> tuple[Parameter, ...]:
    """The backbone's parameters by their canonical names."""
    return tuple(
        evolve(
            parameter,
            name=f"backbone.{parameter.name}",
            tied_to=f"backbone.{parameter.tied_to}" if parameter.tied_to else None,
        )
        for parameter in backbone.parameters(context)
    )


def head_layout(head: Head, backbone: Backbone) -> tuple[Parameter, ...]:
    """The head's parameters; its matrix may be the backbone's embedding."""
    tied = f"backbone.{backbone.tied}" if head.vocabulary and backbone.tied else None
    glorot = Uniform(sqrt(6 / (head.outputs + backbone.width)))
    weight = Parameter(
        name="head.weight",
        shape=(head.outputs, backbone.width),
        init=Normal(VOCABULARY_STD) if head.vocabulary else glorot,
        role="head",
        decay=True,
        tied_to=tied,
    )
    bias = Parameter(
        name="head.bias",
        shape=(head.outputs,),
        init=Constant(0.0),
        role="vector",
        decay=False,
    )
    return (weight, bias) if head.bias else (weight,)
