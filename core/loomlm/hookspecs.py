"""Every extension point, one function each.

Each docstring says when the hook is called, with what, what an implementation returns, and what
the thing it returns must be. Mark implementations with `loomlm.plugin.hookimpl`; name only the
arguments that you use. pluggy calls implementations, never the functions here: those that would
have to return something raise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from loomlm.components import Builder, Component
    from loomlm.contracts import (
        Batch,
        CheckpointSaved,
        Evaluated,
        Example,
        ModelSpec,
        Progress,
        RunEnded,
        RunStarted,
        StageEnded,
        StageStarted,
        StepsEnded,
    )

ON_EXTENSIONS = (
    "loomlm_examples",
    "loomlm_batch",
    "loomlm_model_spec",
    "loomlm_module",
)
"""Hooks that change what a run does: only what a config names may implement them."""

ON_PLUGINS = (
    "loomlm_run_started",
    "loomlm_progress",
    "loomlm_stage_started",
    "loomlm_steps_ended",
    "loomlm_evaluated",
    "loomlm_checkpoint_saved",
    "loomlm_stage_ended",
    "loomlm_run_ended",
)
"""The hooks of a run's life."""

hookspec = pluggy.HookspecMarker("loomlm")
hookimpl = pluggy.HookimplMarker("loomlm")
"""Marks a function, or a method, as an implementation of the hook that it is named as."""


# --- registration: called once, when plugins are loaded. Import nothing heavy in them. --------


@hookspec
def loomlm_tokenizers() -> Iterable[Component] | None:
    """Tokenizers. Target: a `TokenizerFactory`."""


@hookspec
def loomlm_backbones() -> Iterable[Component] | None:
    """Backbones. Target: called with the config, gives a `Backbone`.

    How each backend builds it is registered by `loomlm_builders`.
    """


@hookspec
def loomlm_trainers() -> Iterable[Component] | None:
    """Trainers, that is backends: a config's `backend` names one.

    Target: called with the config of `[backends.NAME]`, gives a `Trainer`.
    """


@hookspec
def loomlm_metrics() -> Iterable[Component] | None:
    """Metrics. Target: called with (config, MetricContext), gives a `Metric`."""


@hookspec
def loomlm_data_sources() -> Iterable[Component] | None:
    """Data sources. Target: called with the config, gives a `DataSource`."""


@hookspec
def loomlm_tasks() -> Iterable[Component] | None:
    """Tasks. Target: called with the config, gives a `Task`."""


@hookspec
def loomlm_cleaners() -> Iterable[Component] | None:
    """Cleaning steps, for `data.clean`. Target: called with the config, gives a `Cleaner`."""


@hookspec
def loomlm_optimizers() -> Iterable[Component] | None:
    """Optimizers. Target: the update rule in numpy, which every backend's builder must come to:
    (config, value, gradient, slots, step, learning_rate, parameter) -> new value.

    It changes `slots`, arrays by name that are zeros at first, in place. It is there to be read,
    and for tests; `loomlm_builders` says how each backend does it.
    """


@hookspec
def loomlm_schedules() -> Iterable[Component] | None:
    """Learning-rate schedules.

    Target: a function (config, step, steps) -> factor of the learning rate, for step 1 to steps.
    """


@hookspec
def loomlm_observers() -> Iterable[Component] | None:
    """Observers, for a config's `observers`.

    Target: called with the config once a run, gives an object whose methods are marked `hookimpl`
    and named as the life-cycle hooks below; what it remembers of a run, it keeps in itself.
    """


@hookspec
def loomlm_extensions() -> Iterable[Component] | None:
    """Extensions, for a config's `extensions`: they change what a run does.

    Target: called with the config, gives an object whose methods are marked `hookimpl` and named as
    the wrapping hooks below; it may have life-cycle hooks too. What it does is a function of its
    config and of what the hooks are given: a model's folder keeps both, and is used with the
    extensions that it was trained with.
    """


@hookspec
def loomlm_templates() -> Iterable[Component] | None:
    """Templates: `loomlm init NAME` writes what one gives.

    Target: a function (TemplateContext) -> str, a commented config in TOML; where the task wants
    labels, with an attribute `labelled = True`, so that a source looks for them.
    """


@hookspec
def loomlm_builders() -> Iterable[Builder] | None:
    """How a backend builds a backbone or an optimizer, keyed (kind, name, backend)."""


# (pluggy never calls a spec; the bodies of those that promise a result say so to type checkers.)
# --- wrapping: on extensions alone, the first of a config outermost. Mark an implementation
# `@hookimpl(wrapper=True)`: `result = yield` gives what is inside; what it returns is taken. -----


@hookspec(firstresult=True)
def loomlm_examples(examples: Iterator[Example], split: str) -> Iterator[Example]:
    """The examples of a split, read and cleaned: change them, leave some out, add some.

    examples: each once, in order. split: "train", "validation", "test", or "predict" for texts
    that a user gives; of those, each must come out again, one for one.
    Called once a split, when it is read, of several sources once for each; what comes out is kept,
    like all that is prepared.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def loomlm_batch(batch: Batch, step: int, seed: int) -> Batch:
    """The batch of an update, before it is cut into microbatches.

    batch: as the model's `BatchSpec` says, and so must be what comes out. step: counted from 1.
    seed: the run's. The same step and seed give the same batch, or resuming is not exact.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def loomlm_model_spec(spec: ModelSpec) -> ModelSpec:
    """What a trainer builds, whenever a model is made: to train, to go on, to predict.

    spec: a layout with `backbone.` and `head.` before the names. Add parameters, which start with
    the values that they say, or change what is trained. A parameter that is added needs a module
    that has it, on each backend: see `loomlm_module`.
    """
    raise NotImplementedError


@hookspec(firstresult=True)
def loomlm_module(spec: ModelSpec, backend: str) -> Any:
    """The backbone's module of a backend, as its builder made it.

    spec: with what `loomlm_model_spec` did to it. backend: whose module it is, "torch" say; a
    backend that an extension does not know is a `UsageError`.
    """


# --- life cycle: called during a run, on observers, extensions and plugins. What they return is
# ignored; one that raises is not called again, unless it is a LoomlmError. ----------------------


@hookspec
def loomlm_run_started(event: RunStarted) -> None:
    """Once, before any data is read."""


@hookspec
def loomlm_progress(event: Progress) -> None:
    """When something that takes a while begins, or there is a fact worth a line."""


@hookspec
def loomlm_stage_started(event: StageStarted) -> None:
    """Once a stage, before its first update."""


@hookspec
def loomlm_steps_ended(event: StepsEnded) -> None:
    """After one or several updates, when their scalars have come back from the device."""


@hookspec
def loomlm_evaluated(event: Evaluated) -> None:
    """After each evaluation of a split."""


@hookspec
def loomlm_checkpoint_saved(event: CheckpointSaved) -> None:
    """After a checkpoint is complete on disk."""


@hookspec
def loomlm_stage_ended(event: StageEnded) -> None:
    """Once a stage, after its last update."""


@hookspec
def loomlm_run_ended(event: RunEnded) -> None:
    """Once, whether the run succeeded, failed or was stopped."""
