"""Checks between the keys of a config: what fits together, and what does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from loomlm.config.settings import (
    SCRATCH,
    Choice,
    DataConfig,
    RunConfig,
    StageConfig,
    TrainerConfig,
)
from loomlm.config.structure import Mistake, make_converter, structure
from loomlm.contracts import Backbone, Task, produced
from loomlm.errors import LoomlmError, PluginError, did_you_mean
from loomlm.registry import Registry
from loomlm.storage.foreign import refuse_foreign

NAME = re.compile(r"[^\W_][\w.-]*")
"""Names of runs and stages become folders."""

TAKEN = (
    SCRATCH,
    "model",
    "tokenizer",
    "config.toml",
    "environment.json",
    "evaluation.json",
    "data.json",
    "resumed.jsonl",
    "report.html",
)
"""What stands in a run's folder beside its stages, or means something else."""


def check_run(run: RunConfig, registry: Registry) -> Iterator[Mistake]:
    """Everything that is wrong between the keys of a run whose keys are right one by one."""
    if not NAME.fullmatch(run.name):
        yield Mistake(("name",), bad_name(run.name))
    yield from _check_backend(run, registry)
    for index, observer in enumerate(run.observers):
        yield from _check_usable(observer, ("observers", index), registry)
    if not run.stages:
        yield Mistake(("stages",), "a run needs at least one stage")
    names = [stage.name for stage in run.stages]
    for index, stage in enumerate(run.stages):
        path = ("stages", index)
        if not NAME.fullmatch(stage.name):
            yield Mistake((*path, "name"), bad_name(stage.name))
        if stage.name.lower() in TAKEN:
            message = f"a run keeps something else in {stage.name!r}; call the stage another name"
            yield Mistake((*path, "name"), message)
        if stage.name in names[:index]:
            yield Mistake((*path, "name"), f"two stages are called {stage.name!r}")
        yield from _check_init_from(stage, names[:index], path)
        for mistake in _check_stage(run, stage, registry):
            yield Mistake((*path, *mistake.path), mistake.message)


def _check_init_from(
    stage: StageConfig, earlier: list[str], path: tuple[str | int, ...]
) -> Iterator[Mistake]:
    first = stage.init_from
    if first in (SCRATCH, *earlier):
        return
    try:
        refuse_foreign(Path(first))
        here = Path(first).is_dir()
    except LoomlmError as error:
        yield Mistake((*path, "init_from"), str(error))
        return
    except OSError as error:
        yield Mistake((*path, "init_from"), f"{first[:80]!r} cannot be read: {error.strerror}")
        return
    if here:
        return
    if Path(first).is_absolute():
        near = did_you_mean(Path(first).name, earlier) if earlier else ""
        message = f"there is no run or model in {first}, nor an earlier stage of its name. {near}"
    else:
        message = f"{first!r} is no earlier stage: a stage begins with one that has ended"
    yield Mistake((*path, "init_from"), message.rstrip())


def bad_name(name: str) -> str:
    """What is wrong with a name that NAME does not match."""
    return f"{name!r} cannot name a folder; use letters, digits, '-', '_' and '.'"


def _check_backend(run: RunConfig, registry: Registry) -> Iterator[Mistake]:
    """A backend has to be known; whether it is installed, only who runs the config must ask."""
    try:
        if run.backend != "auto":
            registry.find("trainer", run.backend)
        elif len(usable_backends(registry)) > 1:
            choose_backend("auto", registry)
    except PluginError as error:
        yield Mistake(("backend",), str(error))
    for name, options in run.backends.items():
        if name not in registry.names("trainer"):
            hint = did_you_mean(name, registry.names("trainer"))
            yield Mistake(("backends", name), f"there is no backend {name!r}. {hint}")
            continue
        config = registry.find("trainer", name).component.config
        for mistake in structure(options, config, make_converter(registry, Path()))[1]:
            yield Mistake(("backends", name, *mistake.path), mistake.message)


def choose_backend(name: str, registry: Registry) -> str:
    """The backend that a config means; `auto` is the one that can be used.

    Raises PluginError where none can, or where several could.
    """
    if name != "auto":
        return name
    usable = usable_backends(registry)
    if len(usable) == 1:
        return usable[0]
    if usable:
        raise PluginError(f"Several backends are installed; say which: {', '.join(usable)}.")
    installs = " or ".join(e.component.install for e in registry.of("trainer"))
    raise PluginError(f"No backend is installed. Install one: {installs}")


def usable_backends(registry: Registry) -> list[str]:
    """The backends for which everything is installed, in the order of their registration."""
    components = [entry.component for entry in registry.of("trainer")]
    return [c.name for c in components if not c.missing()]


def _check_stage(run: RunConfig, stage: StageConfig, registry: Registry) -> Iterator[Mistake]:
    yield from _check_trainer(stage.trainer)
    yield from _check_data(stage.data)
    size = stage.trainer.batch_size
    if stage.data.streaming and isinstance(size, int) and stage.data.shuffle_window < size:
        yield Mistake(
            ("data", "shuffle_window"),
            f"a batch is of one window, so none would have the {size:,} examples that "
            "trainer.batch_size says; give at least as many",
        )
    if stage.data.streaming and stage.trainer.steps is None:
        yield Mistake(
            ("trainer", "epochs"),
            "nobody knows how long a stream is before it has been read; give `steps` instead",
        )
    for index, part in enumerate(stage.data.parts):
        path = ("data", "sources", index) if stage.data.sources else ("data",)
        yield from _check_usable(part.source, path, registry)
        for place, choice in enumerate(part.clean):
            yield from _check_usable(choice, (*path, "clean", place), registry)
    for name, choices in (("data.clean", stage.data.clean), ("extensions", stage.extensions)):
        for index, choice in enumerate(choices):
            yield from _check_usable(choice, (*name.split("."), index), registry)
    try:
        backbone = registry.target("backbone", run.backbone.type)(run.backbone.config)
        task = registry.target("task", stage.task.type)(stage.task.config)
    except LoomlmError as error:
        yield Mistake(("task",), str(error))
        return
    for message in misfits(run.backbone.type, backbone, stage.task.type, task):
        yield Mistake(("task",), message + _who_can(task, backbone, run.backbone, registry))
    yield from _check_budget(stage.trainer, task)
    names = [metric.type for metric in stage.metrics or ()]
    for index, metric in enumerate(stage.metrics or ()):
        if metric.type in names[:index]:
            yield Mistake(("metrics", index), f"{metric.type} stands there twice")
        target = registry.find("metric", metric.type).load()
        if not produced(task) & target.accepts:
            yield Mistake(
                ("metrics", index),
                f"{metric.type} scores {', '.join(sorted(target.accepts))}; "
                f"{stage.task.type} gives {', '.join(sorted(produced(task)))}",
            )


def misfits(backbone_type: str, backbone: Backbone, task_type: str, task: Task) -> Iterator[str]:
    """Why a backbone cannot do a task: a clause for each reason."""
    lacking = sorted(task.needs - backbone.capabilities)
    if lacking:
        yield (
            f"{task_type} needs a backbone that can do {', '.join(lacking)}; "
            f"{backbone_type} can do {', '.join(sorted(backbone.capabilities))}"
        )
    elif "encoder_decoder" in backbone.capabilities - task.needs:
        yield (
            f"{backbone_type} is an encoder-decoder here, and {task_type} has no source for it to "
            "read; take one that is none"
        )
    if backbone.longest is not None and task.context > backbone.longest:
        yield (
            f"rows of up to {task.context:,} tokens are longer than the {backbone.longest:,} that "
            f"{backbone_type} is configured to read"
        )


def _who_can(task: Task, backbone: Backbone, choice: Choice, registry: Registry) -> str:
    """How a backbone can do what it lacks, or which others can, of those that are installed."""
    if task.needs <= backbone.capabilities:
        return ""
    for name in sorted(task.needs - backbone.capabilities):
        # By convention, a backbone has a key of that name where it can do so only if told.
        if getattr(choice.config, name, None) is False:
            return f". Set backbone.{name} = true"
    able = [
        entry.component.name
        for entry in registry.of("backbone")
        if any(task.needs <= found.capabilities for found in _tried(entry.component.name, registry))
    ]
    return f". Backbones that can: {', '.join(able)}" if able else ""


def _tried(name: str, registry: Registry) -> Iterator[Backbone]:
    """A backbone with its default keys, where it has such."""
    with suppress(LoomlmError, TypeError, ValueError):
        component = registry.usable("backbone", name)
        yield registry.target("backbone", name)(component.config())


def _check_trainer(trainer: TrainerConfig) -> Iterator[Mistake]:
    if (trainer.steps is None) == (trainer.epochs is None):
        given = "both `steps` and `epochs`" if trainer.steps else "neither `steps` nor `epochs`"
        yield Mistake(("trainer",), f"give one of `steps` and `epochs`; there are {given}")
    if trainer.non_finite == "rollback" and not isinstance(trainer.checkpoint_every, int):
        message = (
            'non_finite = "rollback" goes back to a checkpoint: where these stand must not depend '
            "on the clock. Give a number of steps, such as 500"
        )
        yield Mistake(("trainer", "checkpoint_every"), message)
    yield from _check_means(trainer)
    if trainer.batch_size is None:
        return
    if trainer.batch_tokens is not None:
        message = "give one of `batch_size` and `batch_tokens`; there are both"
        yield Mistake(("trainer", "batch_tokens"), message)
    if isinstance(trainer.batch_size, int) and trainer.batch_size % trainer.accumulate:
        yield Mistake(
            ("trainer", "accumulate"),
            f"{trainer.accumulate} microbatches do not divide a batch of {trainer.batch_size}",
        )


def _check_means(trainer: TrainerConfig) -> Iterator[Mistake]:
    """What weights a stage ends with is said once."""
    if not trainer.averages:
        return
    name = "average" if trainer.average is not None else "average_from"
    for other in ("ema", "keep_best"):
        if getattr(trainer, other) is not None:
            message = f"`{other}` says otherwise which weights the stage ends with; give one"
            yield Mistake(("trainer", name), message)
    if not isinstance(trainer.checkpoint_every, int):
        message = (
            f"`{name}` takes the mean of checkpoints: where these stand must not depend on the "
            "clock. Give a number of steps, such as 500"
        )
        yield Mistake(("trainer", "checkpoint_every"), message)


def _check_budget(trainer: TrainerConfig, task: Task) -> Iterator[Mistake]:
    """Rows of a stream are all as long as the task's context."""
    tokens, least = trainer.batch_tokens, task.context * trainer.accumulate
    if task.stream and tokens is not None and tokens < least:
        one = f"{trainer.accumulate} rows" if trainer.accumulate > 1 else "a row"
        message = f"there is no room for {one} of {task.context:,} tokens; give at least {least:,}"
        yield Mistake(("trainer", "batch_tokens"), message)


def _check_data(data: DataConfig) -> Iterator[Mistake]:
    shares = [share for share in (data.split.validation, data.split.test) if share is not None]
    if sum(shares) >= 1:
        yield Mistake(
            ("data", "split"),
            f"shares of {' and '.join(map(str, shares))} leave nothing to train on",
        )
    yield from _check_folds(data)
    if data.streaming and data.sources:
        message = "a stream has one source; name one, or take `streaming` out"
        yield Mistake(("data", "sources"), message)
    if data.streaming and shares:
        yield Mistake(
            ("data", "split"),
            "a stream is not read before training, so nothing is cut off it; name the files of "
            "validation and test, or take `streaming` out",
        )
    given = [part.weight is not None for part in data.sources]
    if any(given) and not all(given):
        yield Mistake(
            ("data", "sources", given.index(False)),
            "`weight` is missing, and other sources have one; give each a weight, or none",
        )


def _check_folds(data: DataConfig) -> Iterator[Mistake]:
    split = data.split
    if split.folds is None and split.fold is None:
        return
    if split.folds is None or split.fold is None:
        given, other = ("folds", "fold") if split.fold is None else ("fold", "folds")
        yield Mistake(("data", "split", given), f"`{given}` goes with `{other}`, which is missing")
    elif split.fold > split.folds:
        message = f"there are {split.folds} folds, and so no fold {split.fold}"
        yield Mistake(("data", "split", "fold"), message)
    if split.validation is not None:
        message = "a fold is for validation itself; take `validation` out"
        yield Mistake(("data", "split", "validation"), message)
    if data.streaming:
        message = "a stream is not read before training, so nothing can be held out of it"
        yield Mistake(("data", "split", "folds"), message)


def _check_usable(
    choice: Choice, path: tuple[str | int, ...], registry: Registry
) -> Iterator[Mistake]:
    try:
        registry.target(choice.kind, choice.type)
    except PluginError as error:
        yield Mistake(path, str(error))
