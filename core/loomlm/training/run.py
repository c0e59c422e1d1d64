"""Carries a config out: data, stages, evaluation, model. The one place that sees a whole run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from loomlm.config.check import choose_backend
from loomlm.config.load import Config, load_config
from loomlm.config.settings import RunConfig, StageConfig
from loomlm.config.show import plain, to_toml
from loomlm.contracts import (
    FitContext,
    Progress,
    Ragged,
    RunEnded,
    RunStarted,
    StageEnded,
    StageStarted,
    Tokenizer,
)
from loomlm.data.batches import BatchPlan, bucket_widths
from loomlm.data.prepare import (
    Encoded,
    encode_examples,
    identity,
    made,
    make_tokenizer,
    read_examples,
)
from loomlm.errors import LoomlmError, UsageError
from loomlm.inference.evaluate import default_metrics
from loomlm.inference.model import Model, load_model
from loomlm.inference.scoring import Recipe, evaluate, lengths_of, make_metrics
from loomlm.models.card import model_card
from loomlm.models.folder import ModelConfig, save_model
from loomlm.models.initial import initial_arrays
from loomlm.models.spec import model_spec
from loomlm.registry import Registry
from loomlm.storage.cache import cache_key
from loomlm.storage.commit import commit, write_file
from loomlm.storage.lock import locked
from loomlm.training import folder as run_folder
from loomlm.training.checkpoints import Checkpoints, read_state, restore
from loomlm.training.environment import environment
from loomlm.training.interrupts import Interrupts
from loomlm.training.loop import Stage, total_steps, train
from loomlm.training.settling import Resume, engine_options, resolve


@frozen
class Run:
    """A run that has ended: its folder, and its evaluation {stage: {split: {metric: number}}}."""

    folder: Path
    evaluation: Mapping[str, Any]

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """The run in a folder. Raises UsageError when there is none, or it has not ended."""
        path = Path(folder)
        if not (path / run_folder.CONFIG).is_file():
            raise UsageError(f"{path} is not a run: it has no {run_folder.CONFIG}.")
        return cls(path, run_folder.read_evaluation(path))

    def model(self) -> Model:
        """The final model."""
        return load_model(self.folder)


@frozen
class Prepared:
    """A stage's data, encoded, with the objects that made it."""

    config: StageConfig
    recipe: Recipe
    data: Encoded


def run(
    config: Config | str | Path | Mapping[str, Any],
    *,
    runs: str | Path | None = None,
    resume: Resume = "never",
    overwrite: bool = False,
    observers: Sequence[Any] = (),
) -> Run:
    """Train, evaluate and save what a config describes.

    runs: the folder that the run's folder goes into. resume: "auto" goes on where a run of the
    same name and config stopped, "must" insists that there is one. overwrite: replace a run of
    the same name, once the new one's data is ready. observers: objects with life-cycle hooks.

    Raises LoomlmError for everything that a user can mend.
    """
    checked = config if isinstance(config, Config) else load_config(config)
    registry = checked.registry
    backend = choose_backend(checked.settings.backend, registry)
    folder = run_folder.runs_folder(runs) / checked.settings.name
    checked, reasons = resolve(checked, backend, folder, resume, overwrite)
    if resume != "never" and (folder / run_folder.EVALUATION).exists():
        return Run.open(folder)
    settings = checked.settings
    watchers = [*observers, *(made(registry, choice) for choice in settings.observers)]
    for watcher in watchers:
        registry.manager.register(watcher)
    hook = registry.manager.hook
    error: str | None = None
    evaluation: dict[str, Any] = {}
    try:
        hook.loomlm_run_started(
            event=RunStarted(folder=str(folder), config=plain(settings), resumed=resume != "never")
        )
        evaluation = _carry_out(checked, reasons, backend, folder, overwrite, hook)
        return Run(folder, evaluation)
    except BaseException as problem:
        error = str(problem) or type(problem).__name__
        raise
    finally:
        hook.loomlm_run_ended(
            event=RunEnded(folder=str(folder), evaluation=evaluation, error=error)
        )
        for watcher in watchers:
            registry.manager.unregister(watcher)


def _carry_out(
    config: Config,
    reasons: Mapping[str, str],
    backend: str,
    folder: Path,
    overwrite: bool,
    hook: Any,
) -> dict[str, Any]:
    """Data first, so that bad input leaves an existing run alone; then the folder, the stages."""
    settings, registry = config.settings, config.registry

    def say(message: str) -> None:
        hook.loomlm_progress(event=Progress(message=message))

    tokenizer, stages = _prepare(settings, registry, say)
    if overwrite:
        run_folder.remove_run(folder)
    _make_folder(folder)
    evaluation: dict[str, Any] = {}
    with locked(folder):
        _write_start(folder, config, reasons, backend, tokenizer)
        with Interrupts() as interrupts:
            for index, prepared in enumerate(stages):
                stage = _stage(prepared, config, backend, folder, tokenizer, hook, say)
                _train(stage, prepared, interrupts, hook, say)
                evaluation[prepared.config.name] = _evaluate(stage, prepared, say)
                if index == len(stages) - 1:
                    _save_model(folder, config, backend, stage, prepared, tokenizer, evaluation)
        write_file(folder / run_folder.EVALUATION, json.dumps(evaluation, indent=2) + "\n")
    return evaluation


def _prepare(
    settings: RunConfig, registry: Registry, say: Callable[[str], None]
) -> tuple[Tokenizer, list[Prepared]]:
    tokenizer: Tokenizer | None = None
    stages = []
    for stage in settings.stages:
        examples = read_examples(stage.data, registry, settings.seed, say)
        if tokenizer is None:
            train_split = examples.splits["train"]
            tokenizer = make_tokenizer(settings.tokenizer, registry, train_split, examples.key, say)
        task = made(registry, stage.task)
        data = encode_examples(task, identity(registry, stage.task), tokenizer, examples, say)
        recipe = Recipe(task, made(registry, settings.backbone), data.facts)
        stages.append(Prepared(stage, recipe, data))
    assert tokenizer is not None
    return tokenizer, stages


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made: {error.strerror}. Choose another place with --runs."
        ) from None


def _write_start(
    folder: Path,
    config: Config,
    reasons: Mapping[str, str],
    backend: str,
    tokenizer: Tokenizer,
) -> None:
    def comment(path: tuple[str | int, ...]) -> str:
        if len(path) == 4 and path[0] == "stages" and isinstance(path[1], int):
            stage = config.settings.stages[path[1]].name
            return reasons.get(f"{stage}.{path[3]}", "")
        return ""

    settings = evolve(config.settings, plugins=_extra_plugins(config.registry))
    write_file(folder / run_folder.CONFIG, to_toml(plain(settings), comment))
    about = environment(config.settings, backend, config.registry)
    write_file(folder / "environment.json", json.dumps(about, indent=2) + "\n")
    commit(folder / run_folder.TOKENIZER, dict(tokenizer.files()))


def _extra_plugins(registry: Registry) -> tuple[str, ...]:
    """The plugins that were named, in the config or by -p; files by their whole path."""
    return tuple(plugin.module for plugin in registry.plugins if not plugin.distribution)


def _stage(
    prepared: Prepared,
    config: Config,
    backend: str,
    folder: Path,
    tokenizer: Tokenizer,
    hook: Any,
    say: Callable[[str], None],
) -> Stage:
    settings, registry = config.settings, config.registry
    stage, recipe, trainer = prepared.config, prepared.recipe, prepared.config.trainer
    train_store = prepared.data.splits["train"]
    lengths = lengths_of(train_store)
    widths = bucket_widths(int(lengths.max(initial=0)))
    plan = BatchPlan(lengths, trainer.batch_size, settings.seed, widths)
    shapes = [{"batch": trainer.batch_size, "time": width} for width in widths]
    spec = model_spec(
        settings.backbone.type,
        settings.backbone.config,
        recipe.backbone,
        recipe.task,
        recipe.facts,
        tokenizer,
        recipe.task.batch_spec(recipe.facts, shapes),
    )
    made_trainer = registry.usable("trainer", backend).load()(engine_options(config, backend))
    engine = made_trainer.engine(
        spec, trainer, lambda kind, name: registry.builder(kind, name, backend)
    )
    steps = total_steps(trainer, plan)
    factor = registry.usable("schedule", trainer.schedule.type).load()
    choices = stage.metrics or default_metrics(recipe.task, registry)
    metrics = partial(make_metrics, choices, registry, recipe.task, recipe.facts)
    by_name = {metric.type: registry.find("metric", metric.type).component for metric in choices}
    made_stage = Stage(
        name=stage.name,
        folder=folder / stage.name,
        trainer=trainer,
        seed=settings.seed,
        engine=engine,
        recipe=recipe,
        train=train_store,
        validation=prepared.data.splits.get("validation"),
        plan=plan,
        steps=steps,
        schedule=lambda step: trainer.learning_rate * factor(trainer.schedule.config, step, steps),
        metrics=metrics,
        higher_is_better=lambda name: (
            name in by_name and bool(by_name[name].load().higher_is_better)
        ),
        hook=hook,
        checkpoints=Checkpoints(folder / stage.name / "checkpoints", trainer.keep_last),
        world={"data": prepared.data.key, "seed": settings.seed, "layout": _layout_key(spec)},
    )
    made_stage.folder.mkdir(exist_ok=True)
    tokens = train_store.columns["tokens"]
    assert isinstance(tokens, Ragged)
    _start(made_stage, FitContext(tokenizer=tokenizer, tokens=tokens), spec.layout, say)
    return made_stage


def _layout_key(spec: Any) -> str:
    return cache_key([[p.name, list(p.shape)] for p in spec.layout])


def _start(stage: Stage, context: FitContext, layout: Any, say: Callable[[str], None]) -> None:
    """Weights of the newest checkpoint, or initial ones."""
    checkpoint, passed_over = stage.checkpoints.newest()
    for sentence in passed_over:
        say(sentence)
    if checkpoint is not None:
        progress, world = read_state(checkpoint)
        for name, value in stage.world.items():
            if world.get(name) != value:
                raise UsageError(
                    f"{checkpoint} was made with another {name}; this run would not be the same. "
                    "Bring the old state back, or start anew with --overwrite."
                )
        restore(stage.engine, checkpoint)
        stage.progress = progress
        return
    if stage.checkpoints.steps():
        raise LoomlmError(
            f"No checkpoint in {stage.checkpoints.folder} is whole. Start anew with --overwrite."
        )
    fitted = stage.recipe.backbone.fit(context)
    for note in fitted.notes:
        say(note)
    stage.engine.load_state("model", initial_arrays(layout, stage.seed, fitted))


def _train(
    stage: Stage,
    prepared: Prepared,
    interrupts: Interrupts,
    hook: Any,
    say: Callable[[str], None],
) -> None:
    if stage.progress.ended:
        say(f"Stage {stage.name!r} has ended already, after step {stage.progress.step}.")
        return
    count = sum(array.size for _, array in stage.engine.state("model"))
    hook.loomlm_stage_started(
        event=StageStarted(
            stage=stage.name,
            step=stage.progress.step,
            steps=stage.steps,
            parameters=count,
            folder=str(stage.folder),
        )
    )
    train(stage, interrupts)
    hook.loomlm_stage_ended(
        event=StageEnded(stage=stage.name, step=stage.progress.step, reason=stage.progress.ended)
    )


def _evaluate(stage: Stage, prepared: Prepared, say: Callable[[str], None]) -> dict[str, Any]:
    scores = {}
    for name, store in prepared.data.splits.items():
        if name == "train":
            continue
        say(f"Evaluating {name}")
        size = stage.trainer.evaluation_batch_size
        scores[name] = evaluate(stage.engine, stage.recipe, store, stage.metrics(), size)
    return scores


def _save_model(
    folder: Path,
    config: Config,
    backend: str,
    stage: Stage,
    prepared: Prepared,
    tokenizer: Tokenizer,
    evaluation: Mapping[str, Any],
) -> None:
    settings = config.settings
    model = ModelConfig(
        backend=backend,
        stage=stage.name,
        backbone=settings.backbone,
        task=prepared.config.task,
        tokenizer=settings.tokenizer,
        clean=prepared.config.data.clean,
        facts=prepared.data.facts,
    )
    card = model_card(settings, stage.name, len(prepared.data.splits["train"]), evaluation)
    save_model(
        folder / run_folder.MODEL,
        model,
        config.registry,
        tokenizer,
        stage.engine.state("model"),
        card,
    )
