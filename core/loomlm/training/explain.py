"""The plugin-free path of a run: which object of which file does each step, with the shapes."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import evolve

from loomlm.config.check import choose_backend
from loomlm.config.load import Config
from loomlm.config.settings import SCRATCH, Choice, StageConfig
from loomlm.contracts import BackboneContext, BatchSpec, Parameter
from loomlm.data.reading import made
from loomlm.errors import PluginError
from loomlm.hookspecs import ON_EXTENSIONS, ON_PLUGINS
from loomlm.models.spec import body_layout, head_layout
from loomlm.models.tuning import tuned


def hooks_on(extension: Any) -> list[str]:
    """The hooks that an object implements."""
    return [name for name in (*ON_EXTENSIONS, *ON_PLUGINS) if hasattr(extension, name)]


FROM_DATA = 2**31 - 1
"""Stands in for a vocabulary whose size the data decides, to be found again in a shape."""

EXAMPLE_FACTS = {"labels": ["..."], "counts": [1], "outputs": FROM_DATA}
"""Facts stand in for those of data that is not read; sizes that come from them are named."""


def explain(config: Config) -> Iterator[str]:
    """Lines for the user, in the order of the run."""
    settings, registry = config.settings, config.registry
    backend = choose_backend(settings.backend, registry)
    yield f"run {settings.name!r}, seed {settings.seed}, backend {backend}"
    for stage in settings.stages:
        yield f"stage {stage.name!r}"
        yield from _data(config, stage)
        yield _begin(stage)
        yield from _model(config, stage, backend)
        yield from _training(config, stage, backend)
    for choice in settings.observers:
        yield _line("observe", _object(registry, choice), "")


def _data(config: Config, stage: StageConfig) -> Iterator[str]:
    registry = config.registry
    for part in stage.data.parts:
        yield _line("read", _object(registry, part.source), "-> Example(text, label)")
        for choice in part.clean:
            yield _line("clean", _object(registry, choice), "of this source")
    for choice in stage.data.clean:
        of_texts = not hasattr(made(registry, choice), "example")
        what = "str -> str" if of_texts else "Example -> Example or Dropped"
        yield _line("clean", _object(registry, choice), what)
    yield _line("split", _function("loomlm.data.splits", "cut_splits"), _split_words(stage))
    for choice in stage.extensions:
        extension = made(registry, choice)
        yield _line("extend", _object(registry, choice), ", ".join(hooks_on(extension)))
    tokenizer = _object(registry, config.settings.tokenizer)
    yield _line("tokenize", tokenizer, "str -> int32 (time,)")
    yield _line("encode", _object(registry, stage.task), "-> columns on disk")
    by_tokens = stage.trainer.batch_tokens is not None
    plan = ("batches", "BatchPlan") if not by_tokens else ("budgets", "TokenPlan")
    if made(registry, stage.task).stream:
        plan = ("windows", "WalkPlan")
    if stage.data.streaming:
        plan = ("streaming", "StreamPlan")
    shown = _function(f"loomlm.data.{plan[0]}", plan[1])
    yield _line("plan", shown, "step -> rows, width")


def _begin(stage: StageConfig) -> str:
    if stage.init_from == SCRATCH:
        return _line("begin", _function("loomlm.models.initial", "initial_arrays"), "from scratch")
    detail = f"with the weights of {stage.init_from}"
    return _line("begin", _function("loomlm.training.beginning", "with_model"), detail)


def _split_words(stage: StageConfig) -> str:
    split = stage.data.split
    cuts = [
        f"{name} {share}"
        for name, share in (("validation", split.validation), ("test", split.test))
        if share
    ]
    return f"cut {', '.join(cuts)} by {split.by}" if cuts else "as given"


def _model(config: Config, stage: StageConfig, backend: str) -> Iterator[str]:
    registry, settings = config.registry, config.settings
    task, backbone = made(registry, stage.task), made(registry, settings.backbone)
    spec: BatchSpec = task.batch_spec(EXAMPLE_FACTS, [])
    yield _line("collate", _object(registry, stage.task), _fields(spec, stage))
    spec = backbone.batch_spec(evolve(spec, shapes=({"batch": 1, "time": 8},)))
    yield _line("prepare", _object(registry, settings.backbone), _fields(spec, stage))
    try:
        builder = registry.builder("backbone", settings.backbone.type, backend)
        shown = _where(builder)
    except PluginError as error:
        shown = str(error)
    head = task.head(EXAMPLE_FACTS)
    size = _height(stage)
    rows = f"{size}" if head.reads == "sequence" else f"{size}, time"
    hidden = f"({rows}, {backbone.width})"
    yield _line("backbone", shown, f"-> hidden {hidden}")
    vocabulary = getattr(settings.tokenizer.config, "vocab_size", None) or FROM_DATA
    context = BackboneContext(
        vocab_size=vocabulary, pad_id=0, reads=head.reads, causal="causal" in task.needs
    )
    layout = (*body_layout(backbone, context), *head_layout(head, backbone))
    trainer, place = stage.trainer, f"stages.{stage.name}.trainer"
    layout = tuned(layout, trainer.freeze, trainer.layer_decay, place)
    for parameter in layout:
        if parameter.name.startswith("backbone."):
            yield _parameter(parameter)
    tied = f", sharing {backbone.tied}" if head.vocabulary and backbone.tied else ""
    outputs = "vocabulary" if head.vocabulary else "labels"
    if head.places:
        rows = rows.replace("time", "places")
        hidden = f"({rows}, {backbone.width})"
    yield _line("head", f"linear{tied}", f"{hidden} -> logits ({rows}, {outputs})")
    for parameter in layout:
        if parameter.name.startswith("head.") and parameter.tied_to is None:
            yield _parameter(parameter, outputs)
    yield _line("loss", task.loss(EXAMPLE_FACTS).kind, "weighted mean over the batch")


def _parameter(parameter: Parameter, rows: str = "") -> str:
    """A line of a parameter: its name and shape, and how it is trained.

    rows: a word for how many rows it has, where only data decides that.
    """
    rate = parameter.learning_rate_scale
    marks = [
        mark
        for mark, on in (
            ("sparse", parameter.sparse),
            ("frozen", not parameter.trainable),
            (f"learning rate x {rate:.3g}", parameter.trainable and rate != 1),
        )
        if on
    ]
    sizes = ["vocabulary" if size == FROM_DATA else str(size) for size in parameter.shape]
    shape = ", ".join([rows or sizes[0], *sizes[1:]])
    return f"    {parameter.name} ({shape}){'  ' if marks else ''}{', '.join(marks)}"


def _training(config: Config, stage: StageConfig, backend: str) -> Iterator[str]:
    registry, trainer = config.registry, stage.trainer
    engine = Choice("trainer", backend, None)
    yield _line("train", _function("loomlm.training.loop", "train"), _length(stage))
    yield _line("engine", _object(registry, engine), f"precision {trainer.precision}")
    optimizer = registry.builder("optimizer", trainer.optimizer.type, backend)
    yield _line("optimizer", _where(optimizer), str(trainer.optimizer.config))
    schedule = _object(registry, trainer.schedule)
    yield _line("schedule", schedule, f"peak {trainer.learning_rate}")
    names = (
        [m.type for m in stage.metrics]
        if stage.metrics
        else list(made(registry, stage.task).default_metrics)
    )
    for name in names:
        yield _line("metric", _object(registry, Choice("metric", name, None)), "")


def _length(stage: StageConfig) -> str:
    trainer = stage.trainer
    length = f"{trainer.steps} steps" if trainer.steps else f"{trainer.epochs:g} epochs"
    if trainer.batch_tokens is not None:
        return f"{length} of up to {trainer.batch_tokens:,} tokens"
    if trainer.batch_size == "auto":
        return f"{length} of as many examples as fit into memory"
    return f"{length} of {trainer.batch_size} examples"


def _height(stage: StageConfig) -> str:
    """The rows of a batch, in words."""
    size = stage.trainer.batch_size
    return str(size) if isinstance(size, int) else "batch"


def _fields(spec: BatchSpec, stage: StageConfig) -> str:
    size = _height(stage)
    shown = []
    for field in spec.fields:
        shape = ", ".join(size if part == "batch" else str(part) for part in field.shape)
        shown.append(f"{field.name} {field.dtype} ({shape})")
    return "; ".join(shown)


def _line(step: str, what: str, detail: str) -> str:
    return f"  {step:10} {what}" + (f"\n             {detail}" if detail else "")


def _object(registry: Any, choice: Choice) -> str:
    return _where(registry.target(choice.kind, choice.type))


def _function(module: str, name: str) -> str:
    from importlib import import_module

    return _where(getattr(import_module(module), name))


def _where(target: Any) -> str:
    """`module.name  file:line` of an object."""
    target = target if hasattr(target, "__qualname__") else type(target)
    name = f"{target.__module__}.{target.__qualname__}"
    try:
        file = inspect.getsourcefile(target) or ""
        line = inspect.getsourcelines(target)[1]
    except (OSError, TypeError):
        return name
    path = Path(os.path.relpath(file))
    return f"{name}  {path if '..' not in path.parts else file}:{line}"
