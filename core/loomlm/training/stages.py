"""Makes a stage ready to train: its engine, its plan, and the weights that it starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from loomlm.config.load import Config
from loomlm.config.settings import SCRATCH, Choice, RunConfig, StageConfig, TrainerConfig
from loomlm.contracts import Engine, FitContext, Generates, ModelSpec, Tokenizer, Writes
from loomlm.data.batches import padding
from loomlm.data.cleaning import text_cleaners
from loomlm.data.examples import Split
from loomlm.data.inspection.texts import pick
from loomlm.data.naming import examples_of
from loomlm.data.plans import BatchSize, Plan
from loomlm.data.prepare import Encoded
from loomlm.data.reading import made
from loomlm.data.streaming import StreamPlan
from loomlm.errors import LoomlmError, UsageError, did_you_mean
from loomlm.inference.evaluate import default_metrics
from loomlm.inference.generate import Generator
from loomlm.inference.scoring import Recipe, is_written, make_metrics
from loomlm.models.folder import WEIGHTS
from loomlm.models.initial import initial_arrays
from loomlm.models.spec import model_spec
from loomlm.models.tuning import tuned
from loomlm.registry import Registry
from loomlm.storage.cache import cache_key
from loomlm.storage.disk import make_folder
from loomlm.storage.manifest import file_digest
from loomlm.training.averaging import averaged, check_average
from loomlm.training.beginning import check_first, check_stays, first_model, with_model
from loomlm.training.checkpoints import Checkpoints, Mean, read_state, restore
from loomlm.training.differences import ANEW
from loomlm.training.folder import read_changes
from loomlm.training.lost import NAMED
from loomlm.training.options import engine_options
from loomlm.training.stage import Held, Stage, reopens, total_steps

Say = Callable[[str], None]

PADDING = 0.3
"""The share of padding from which a user is told of it."""


@frozen
class Prepared:
    """A stage's data, encoded, with the objects that made it.

    about: what data.json says of it. sources: the fingerprint of each of its sources. splits:
    the examples; of a stream none to train on.
    """

    config: StageConfig
    recipe: Recipe
    data: Encoded
    about: Mapping[str, Any]
    sources: tuple[str, ...] = ()
    splits: Mapping[str, Split] = field(factory=dict)
    _plans: dict[int, Plan] = field(factory=dict, init=False, eq=False, repr=False)

    def places(self, held: Held) -> list[str]:
        """Where the examples of a batch stand, with their numbers in the training split."""
        if isinstance(held, list):
            return held
        assert self.data.train is not None
        tokens = self.data.tokens["train"]
        numbers = examples_of(self.data.train, held, np.asarray(tokens.offsets)).tolist()
        found = pick(self.splits["train"], numbers[:NAMED])
        shown = [f"{one.place} (row {row})" for row, one in zip(numbers, found, strict=False)]
        return shown + [f"row {row}" for row in numbers[NAMED:]]

    def plan(self, seed: int) -> Plan:
        """The batches to train on; made once for each seed."""
        if seed not in self._plans:
            assert self.data.train is not None
            size = BatchSize.of(self.config.trainer)
            self._plans[seed] = self.data.train.plan(size, seed)
        return self._plans[seed]


def make_stage(
    prepared: Prepared,
    config: Config,
    backend: str,
    folder: Path,
    tokenizer: Tokenizer,
    hook: Any,
    say: Say,
) -> Stage:
    """A stage of the run in `folder`, with the weights of its newest checkpoint or its first."""
    settings, registry = config.settings, config.registry
    stage, recipe, trainer = prepared.config, prepared.recipe, prepared.config.trainer
    rows = prepared.data.train
    assert rows is not None
    spec = stage_spec(prepared, settings, tokenizer)
    engine = make_engine(prepared, config, backend, spec)
    plan = prepared.plan(settings.seed)
    for sentence in _of_plan(prepared, plan):
        say(sentence)
    steps = total_steps(trainer, plan)
    factor = registry.target("schedule", trainer.schedule.type)
    choices = stage.metrics or default_metrics(recipe.task, registry)
    by_name = _by_name(choices, registry)
    first = first_model(stage, folder)
    cleaners = text_cleaners(made(registry, choice) for choice in stage.data.clean)
    generator = Generator(engine, recipe, tokenizer, cleaners)
    made_stage = Stage(
        name=stage.name,
        folder=folder / stage.name,
        follows=_stage_before(stage, settings),
        trainer=trainer,
        seed=settings.seed,
        engine=engine,
        recipe=recipe,
        train=rows,
        validation=prepared.data.splits.get("validation"),
        plan=plan,
        places=prepared.places,
        steps=steps,
        schedule=lambda step: trainer.learning_rate * factor(trainer.schedule.config, step, steps),
        metrics=partial(make_metrics, choices, registry, recipe.task, recipe.facts),
        higher_is_better=partial(_higher_is_better, by_name),
        generate=_generate(generator, trainer) if isinstance(recipe.task, Generates) else None,
        write=generator.outcomes if isinstance(recipe.task, Writes) else None,
        watches_texts=any(
            is_written(recipe.task, by_name[_metric_of(name)])
            for name in _watched(trainer).values()
            if _metric_of(name) in by_name
        ),
        hook=hook,
        say=say,
        checkpoints=Checkpoints(
            folder / stage.name / "checkpoints",
            trainer.keep_last,
            trainer.keep_every,
            trainer.checkpoint_every
            if trainer.non_finite == "rollback" and isinstance(trainer.checkpoint_every, int)
            else None,
            Mean.wanted(trainer),
        ),
        world={
            "data": prepared.data.key,
            "seed": settings.seed,
            "layout": _layout_key(spec),
            "init_from": file_digest(first / WEIGHTS) if first else None,
        },
    )
    make_folder(made_stage.folder)
    if not _goes_on(made_stage):
        context = FitContext(
            tokenizer=tokenizer, tokens=prepared.data.tokens["train"], seed=settings.seed
        )
        added = _added(prepared, settings, tokenizer, spec)
        _begin(made_stage, context, spec, added, first, registry)
    check_average(engine, trainer, backend)
    return made_stage


def make_engine(prepared: Prepared, config: Config, backend: str, spec: ModelSpec) -> Engine:
    """A stage's engine, with uninitialised weights."""
    trainer = config.registry.target("trainer", backend)(engine_options(config, backend))
    builders = prepared.recipe.extensions.builders(config.registry, backend)
    return trainer.engine(spec, prepared.config.trainer, builders)


def stage_spec(prepared: Prepared, settings: RunConfig, tokenizer: Tokenizer) -> ModelSpec:
    """What a trainer builds for a stage.

    Raises UsageError for a pattern of `trainer.freeze` that is no parameter's.
    """
    spec = prepared.recipe.extensions.spec(_plain_spec(prepared, settings, tokenizer))
    trainer, place = prepared.config.trainer, f"stages.{prepared.config.name}.trainer"
    layout = tuned(spec.layout, trainer.freeze, trainer.layer_decay, place)
    return evolve(spec, layout=layout)


def _added(
    prepared: Prepared, settings: RunConfig, tokenizer: Tokenizer, spec: ModelSpec
) -> frozenset[str]:
    """The parameters that extensions add: a model that a stage begins with need not have them."""
    plain = {parameter.name for parameter in _plain_spec(prepared, settings, tokenizer).layout}
    return frozenset(parameter.name for parameter in spec.layout if parameter.name not in plain)


def _plain_spec(prepared: Prepared, settings: RunConfig, tokenizer: Tokenizer) -> ModelSpec:
    recipe = prepared.recipe
    shapes = prepared.plan(settings.seed).shapes
    return model_spec(
        settings.backbone.type,
        settings.backbone.config,
        recipe.backbone,
        recipe.task,
        recipe.facts,
        tokenizer,
        recipe.task.batch_spec(recipe.facts, [{"batch": n, "time": width} for n, width in shapes]),
    )


def _of_plan(prepared: Prepared, plan: Plan) -> Iterator[str]:
    """What a user should know of a stage's batches."""
    name, wanted = prepared.config.name, prepared.config.trainer.batch_tokens
    width, most = max((width, height * width) for height, width in plan.shapes)
    if wanted is not None and most > wanted:
        yield (
            f"{name}: a batch of rows of {width:,} tokens has {most:,}, more than batch_tokens = "
            f"{wanted:,}"
        )
    if plan.steps_per_epoch is None:
        return  # Of a stream, batches would have to be read to know.
    assert prepared.data.train is not None
    share = padding(plan, prepared.data.train)
    if share > PADDING:
        by_tokens = wanted is not None or prepared.recipe.task.stream
        hint = "" if by_tokens else "; trainer.batch_tokens groups rows of like length more tightly"
        yield f"{name}: {share:.0%} of a batch is padding{hint}"


def check_beginning(
    prepared: Prepared, config: Config, folder: Path, tokenizer: Tokenizer, overwrite: bool
) -> None:
    """Check the model that a stage begins with, before anything that stands on disk is touched.

    One of an earlier stage of the run fits, and is not there yet. Raises UsageError.
    """
    stage, settings = prepared.config, config.settings
    spec = stage_spec(prepared, settings, tokenizer)
    if stage.init_from in (SCRATCH, *(other.name for other in settings.stages)):
        return
    first = first_model(stage, folder)
    assert first is not None
    if overwrite:
        check_stays(first, stage.name, folder)
    added = _added(prepared, settings, tokenizer, spec)
    backbone = prepared.recipe.backbone
    check_first(first, stage.name, spec, added, tokenizer, backbone, config.registry)


def check_prepared(prepared: Prepared, registry: Registry) -> None:
    """Check what only the data can tell, before anything that stands on disk is touched.

    Raises UsageError for a score that cannot be watched, or a metric that does not fit the labels.
    """
    stage, recipe = prepared.config, prepared.recipe
    trainer, place = stage.trainer, f"stages.{stage.name}.trainer"
    choices = stage.metrics or default_metrics(recipe.task, registry)
    make_metrics(choices, registry, recipe.task, recipe.facts)
    needing = [
        name
        for name, given in (
            ("keep_best", trainer.keep_best),
            ("early_stopping", trainer.early_stopping),
            ("evaluate_every", isinstance(trainer.evaluate_every, int)),
        )
        if given
    ]
    if needing and "validation" not in prepared.data.splits:
        raise UsageError(
            f"{place}.{needing[0]} needs a validation split, and the data has none. Cut one: "
            f"stages.{stage.name}.data.split = {{ validation = 0.1 }}."
        )
    names = ["loss", *(choice.type.rpartition("/")[2] for choice in choices)]
    for key, name in _watched(trainer).items():
        if _metric_of(name) not in names:
            raise UsageError(
                f"{place}.{key}: the stage has no score {name!r}. {did_you_mean(name, names)}"
            )


def _watched(trainer: TrainerConfig) -> dict[str, str]:
    """Names of the scores that are watched in training, by their keys."""
    stopping = trainer.early_stopping
    given = {
        "keep_best": trainer.keep_best,
        "early_stopping.metric": stopping.metric if stopping else None,
    }
    return {key: name for key, name in given.items() if name is not None}


def _by_name(choices: Sequence[Choice], registry: Registry) -> dict[str, Any]:
    """The targets of metrics, by the names that their scores have."""
    return {one.type.rpartition("/")[2]: registry.target("metric", one.type) for one in choices}


def _higher_is_better(by_name: Mapping[str, Any], name: str) -> bool:
    found = by_name.get(_metric_of(name))
    return found is not None and bool(found.higher_is_better)


def _metric_of(name: str) -> str:
    """The metric that gives a score, `f1` of `f1/World`."""
    return name.partition("/")[0]


def _generate(generator: Generator, trainer: TrainerConfig) -> Callable[[str, int, int], str]:
    def generate(prompt: str, max_tokens: int, seed: int) -> str:
        how = generator.how(max_tokens=max_tokens, seed=seed)
        with averaged(generator.engine, trainer):
            return generator.texts([prompt], how)[0]

    return generate


def _layout_key(spec: ModelSpec) -> str:
    return cache_key([[p.name, list(p.shape)] for p in spec.layout])


def _stage_before(stage: StageConfig, settings: RunConfig) -> str | None:
    names = [one.name for one in settings.stages]
    return names[names.index(stage.name) - 1] if stage.name != names[0] else None


def _goes_on(stage: Stage) -> bool:
    """Take the weights of the newest checkpoint, where there is one."""
    checkpoint, passed_over = stage.checkpoints.newest()
    for sentence in passed_over:
        stage.say(sentence)
    if checkpoint is None:
        if stage.checkpoints.steps():
            raise LoomlmError(
                f"No checkpoint in {stage.checkpoints.folder} is whole. Start anew with "
                "--overwrite."
            )
        _say_from_the_start(stage)
        return False
    progress, world = read_state(checkpoint)
    _check_world(stage, checkpoint, world)
    restore(stage.engine, checkpoint)
    if reopens(progress, stage.trainer, stage.steps):
        stage.say(f"{stage.name} had ended after step {progress.step:,}, and is trained on")
        progress.ended = ""
    stage.progress = progress
    if passed_over:
        stage.say(f"{stage.name} goes on from checkpoint {progress.step}, the newest whole one.")
    wanted = stage.trainer.keep_best is not None and not progress.ended
    if wanted and (lost := stage.checkpoints.without_best(progress)) is not None:
        stage.say(lost)
    if progress.place is not None and isinstance(stage.plan, StreamPlan):
        stage.plan.go_to(progress.place)
    return True


def _say_from_the_start(stage: Stage) -> None:
    """What was done before a first checkpoint is done again, and a user is to know."""
    lines = stage.folder / "metrics.jsonl"
    if lines.is_file() and lines.stat().st_size:
        stage.say(
            f"{stage.name} was stopped before its first checkpoint, so it starts from its beginning"
        )


def _check_world(stage: Stage, checkpoint: Path, world: Mapping[str, Any]) -> None:
    """Raise UsageError for a checkpoint that is not of this run.

    One that went on in another world has checkpoints of both.
    """
    names = ("layout",) if read_changes(stage.folder.parent) else tuple(stage.world)
    for name in names:
        if world.get(name) != stage.world[name]:
            what = "data, or code that prepares it" if name == "data" else name
            raise UsageError(
                f"{checkpoint} was made with other {what}; this run would not be the same. "
                f"Bring the old state back, {ANEW}"
            )


def _begin(
    stage: Stage,
    context: FitContext,
    spec: ModelSpec,
    added: frozenset[str],
    first: Path | None,
    registry: Registry,
) -> None:
    """Take initial weights, and those of the model that the stage begins with."""
    fitted = stage.recipe.backbone.fit(context)
    for note in fitted.notes:
        stage.say(note)
    arrays = initial_arrays(spec.layout, stage.seed, fitted)
    if first is None and stage.follows:
        stage.say(
            f"{stage.name} begins from scratch; with init_from = {stage.follows!r} it would go on "
            "from there"
        )
    if first is not None:
        arrays, new = with_model(arrays, first, spec, added, stage.recipe.facts, registry)
        also = f"; {', '.join(new)} {'are' if len(new) > 1 else 'is'} new" if new else ""
        stage.say(f"{stage.name} begins with {first}{also}")
    stage.engine.load_state("model", arrays)
    if stage.trainer.freeze:
        frozen = [prod(p.shape) for p in spec.layout if not p.trainable and p.tied_to is None]
        stage.say(f"{stage.name}: {sum(frozen):,} parameters are frozen")
