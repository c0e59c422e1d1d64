"""Carries a config out: data, stages, evaluation, model. The one place that sees a whole run."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

from attrs import evolve, frozen

from loomlm.config.check import choose_backend
from loomlm.config.load import Config, load_config
from loomlm.config.settings import Choice, RunConfig
from loomlm.config.show import plain
from loomlm.contracts import (
    Generates,
    Progress,
    RunEnded,
    RunStarted,
    StageEnded,
    StageStarted,
    Tokenizer,
    Writes,
)
from loomlm.data.about import about_data, say_about
from loomlm.data.prepare import encode_examples, extended, make_tokenizer
from loomlm.data.reading import identity, made, read_examples
from loomlm.data.vocabularies import tokens_of
from loomlm.data.words import WordDropout
from loomlm.errors import LoomlmError, UsageError
from loomlm.extending import Extensions
from loomlm.inference.details import Details, with_details
from loomlm.inference.memory import lack_of_memory, not_enough
from loomlm.inference.model import Model, load_model
from loomlm.inference.scoring import Recipe, evaluate, told
from loomlm.models.card import model_card
from loomlm.models.folder import ModelConfig, save_model
from loomlm.registry import Registry, check_object
from loomlm.registry.tracing import register
from loomlm.storage.commit import write_file
from loomlm.storage.disk import make_folder
from loomlm.storage.lock import locked, refuse_locked
from loomlm.training import folder as run_folder
from loomlm.training import processes
from loomlm.training.averaging import take_weights
from loomlm.training.claiming import claim, what_changed
from loomlm.training.environment import environment
from loomlm.training.folder import read_changes
from loomlm.training.following import follow
from loomlm.training.interrupts import Interrupts, during
from loomlm.training.leading import Lead
from loomlm.training.loop import train
from loomlm.training.settling import Resume, Settled, resolve
from loomlm.training.sizing import settle_batch_sizes
from loomlm.training.stage import Stage
from loomlm.training.stages import Prepared, check_beginning, check_prepared, make_stage
from loomlm.training.world import check_data, of_data, own_tokenizer


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


def run(
    config: Config | str | Path | Mapping[str, Any],
    *,
    runs: str | Path | None = None,
    resume: Resume = "never",
    overwrite: bool = False,
    allow: Sequence[str] = (),
    observers: Sequence[Any] = (),
    test: bool = True,
) -> Run:
    """Train, evaluate and save what a config describes.

    runs: the folder that the run's folder goes into. resume: "auto" goes on where a run of the
    same name and config stopped, "must" insists that there is one. overwrite: replace a run of
    the same name, once the new one's data is ready. allow: names of what may differ from the run
    that goes on, such as "library" or "stages.finetune.trainer.steps"; an error lists them.
    observers: objects with life-cycle hooks. test: whether a test split is scored; where models are
    still compared with one another, it is not to be.

    In each of several processes (see docs/distributed.md) it is called alike: the first carries the
    run out, the others help it and give its evaluation.

    Raises LoomlmError for everything that a user can mend.
    """
    checked = config if isinstance(config, Config) else load_config(config)
    registry = checked.registry
    backend = choose_backend(checked.settings.backend, registry)
    folder = run_folder.runs_folder(runs) / checked.settings.name
    _check_words(resume, overwrite, allow)
    place = processes.place()
    if place is not None:
        processes.check(checked, backend, place.size)
        if place.rank > 0:
            return Run(folder, follow(checked, backend, place, prepare))
    settled = resolve(checked, backend, folder, resume, overwrite, allow)
    settings, going = settled.config.settings, settled.going
    for watcher in observers:
        check_object(watcher, f"The observer {type(watcher).__name__}")
    watchers = [(watcher, "") for watcher in observers]
    watchers += [(made(registry, c), _origin(c, registry)) for c in settings.observers]
    for watcher, origin in watchers:
        # Whose observers are given here is here to see them fail.
        register(registry.manager, watcher, origin or type(watcher).__name__, guard=bool(origin))
    hook = registry.manager.hook
    error: str | None = None
    evaluation: dict[str, Any] = {}
    lead = Lead.of(settled.config, backend, place)
    try:
        hook.loomlm_run_started(
            event=RunStarted(folder=str(folder), config=plain(settings), resumed=going is not None)
        )
        if resume == "auto" and going is None:
            _say(hook, "No run of this name is there yet, so it starts from the beginning.")
        ended = going is not None and (folder / run_folder.EVALUATION).exists()
        if ended and not allow:
            evaluation = _ended(folder, hook)
        else:
            evaluation = _carry_out(settled, folder, overwrite, hook, lead, test)
        return Run(folder, evaluation)
    except BaseException as problem:
        error = str(problem) or type(problem).__name__
        if (lack := lack_of_memory(problem)) is not None:
            raise LoomlmError(
                f"{not_enough(lack)} Lower trainer.batch_size or batch_tokens, or raise "
                "trainer.accumulate; lower the backbone's sizes or the task's longest row."
            ) from problem
        raise
    finally:
        lead.end(evaluation)
        hook.loomlm_run_ended(
            event=RunEnded(folder=str(folder), evaluation=evaluation, error=error)
        )
        for watcher, _ in watchers:
            registry.manager.unregister(watcher)


def _check_words(resume: str, overwrite: bool, allow: Sequence[str]) -> None:
    """Raise UsageError for words that do not go together."""
    if resume not in get_args(Resume):
        raise UsageError(f"resume is one of {', '.join(get_args(Resume))}, not {resume!r}.")
    if overwrite and resume != "never":
        raise UsageError("To overwrite a run and to resume it do not go together.")
    if allow and resume == "never":
        raise UsageError("What may differ is said of a run that goes on: add --resume to --allow.")


def _origin(choice: Choice, registry: Registry) -> str:
    return registry.origin_of(choice.kind, choice.type)


def _ended(folder: Path, hook: Any) -> dict[str, Any]:
    _say(hook, "It has ended already.")
    return run_folder.read_evaluation(folder)


def _carry_out(
    settled: Settled, folder: Path, overwrite: bool, hook: Any, lead: Lead, test: bool
) -> dict[str, Any]:
    """Data first, so that bad input leaves an existing run alone; then the folder, the stages."""
    config, going = settled.config, settled.going
    settings, registry, backend = config.settings, config.registry, config.settings.backend
    say = partial(_say, hook)
    refuse_locked(folder)
    own = own_tokenizer(going, config) if going else None
    tokenizer, stages = prepare(settings, registry, say, own)
    for prepared in stages:
        check_prepared(prepared, registry)
    config, stages, found = settle_batch_sizes(config, stages, backend, tokenizer, say)
    settled = evolve(settled, config=config, reasons={**settled.reasons, **found})
    for prepared in stages:
        check_beginning(prepared, config, folder, tokenizer, overwrite)
    if going is not None:
        going = check_data(going, stages, tokenizer, config)
        if not going.found and (folder / run_folder.EVALUATION).exists():
            return _ended(folder, hook)
    lead.prepared(config, folder / run_folder.TOKENIZER if own else None)
    make_folder(folder, named="--runs")
    evaluation: dict[str, Any] = {}
    with Interrupts() as interrupts, locked(folder):
        world = {**environment(config, backend), **of_data(stages, tokenizer, config, folder)}
        claim(settled, going, folder, overwrite, world, tokenizer)
        about = {prepared.config.name: prepared.about for prepared in stages}
        write_file(folder / run_folder.DATA, json.dumps(about, indent=2) + "\n")
        for sentence in what_changed(going, world):
            say(sentence)
        for index, prepared in enumerate(stages):
            name, last = prepared.config.name, index == len(stages) - 1
            with interrupts.explaining(f"Stopped in stage {name!r}; its last checkpoint is whole."):
                interrupts.check(f"Stopped before stage {name!r}.")
                stage = make_stage(prepared, config, backend, folder, tokenizer, hook, say)
                with lead.training(stage, interrupts):
                    _train(stage, interrupts, hook, say)
                evaluation[name] = _evaluate(stage, prepared, interrupts, say, test)
                place = folder if last else stage.folder
                model = place / run_folder.MODEL
                _save_model(model, config, backend, stage, prepared, tokenizer, evaluation)
                interrupts.check(f"Stopped after the model of stage {name!r} was saved.")
                if not last:
                    # Its model and optimizer's state make room for the next ones; an engine may
                    # point to itself.
                    del stage
                    gc.collect()
        write_file(folder / run_folder.EVALUATION, json.dumps(evaluation, indent=2) + "\n")
    return evaluation


def _say(hook: Any, message: str) -> None:
    hook.loomlm_progress(event=Progress(message=message))


@during("while the data was prepared")
def prepare(
    settings: RunConfig,
    registry: Registry,
    say: Callable[[str], None],
    tokenizer: Tokenizer | None = None,
) -> tuple[Tokenizer, list[Prepared]]:
    """The tokenizer, and every stage's data, encoded; from the cache where it is there.

    tokenizer: the one to take, where a run has its own already.
    """
    stages = []
    for stage in settings.stages:
        examples = read_examples(stage.data, registry, settings.seed, say)
        extensions = Extensions.of(stage.extensions, registry)
        examples = extended(examples, extensions, registry, say)
        if tokenizer is None:
            tokenizer = make_tokenizer(settings, registry, examples, say)
        task = made(registry, stage.task)
        data = encode_examples(task, identity(registry, stage.task), tokenizer, examples, say)
        backbone = told(made(registry, settings.backbone), tokenizer)
        dropout = WordDropout.of(stage.trainer.word_dropout, task, tokenizer)
        recipe = Recipe(task, backbone, data.facts, extensions, dropout)
        about = about_data(examples, data, task, tokens_of(task, tokenizer))
        if len(settings.stages) > 1:
            say(f"The data of {stage.name}:")
        say_about(about, say)
        splits = examples.splits
        stages.append(Prepared(stage, recipe, data, about, examples.sources, splits))
    assert tokenizer is not None
    return tokenizer, stages


def _train(
    stage: Stage,
    interrupts: Interrupts,
    hook: Any,
    say: Callable[[str], None],
) -> None:
    if stage.progress.ended:
        take_weights(stage)
        say(f"Stage {stage.name!r} has ended already, after step {stage.progress.step}.")
        return
    interrupts.check(
        f"Stopped before step {stage.progress.step + 1} of stage {stage.name!r}"
        f"{', which has its checkpoint' if stage.progress.step else ''}."
    )
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


def _evaluate(
    stage: Stage,
    prepared: Prepared,
    interrupts: Interrupts,
    say: Callable[[str], None],
    test: bool,
) -> dict[str, Any]:
    scores = {}
    stopped = f"Stopped before stage {stage.name!r} was evaluated; its last checkpoint is whole."
    if set(prepared.data.splits) == {"train"}:
        say(f"{stage.name} has no test and no validation split, so there is no score.")
    for name, store in prepared.data.splits.items():
        if name == "train" or (name == "test" and not test):
            continue
        say(f"Evaluating {name}")
        size = stage.trainer.evaluation_batch_size
        metrics = stage.metrics()
        details = Details.of(stage.recipe.task, stage.recipe.facts, metrics)
        found = evaluate(
            stage.engine,
            stage.recipe,
            store,
            metrics,
            size,
            partial(interrupts.check, stopped),
            f"{name} of {stage.name}",
            stage.write,
            details.see if details.kind else None,
        )
        scores[name] = with_details(found, details, prepared.splits[name], stage.seed)
        if stage.weights:
            scores[name]["weights"] = stage.weights
    interrupts.check(stopped)
    return scores


def _of_texts(clean: Sequence[Choice], registry: Registry) -> tuple[Choice, ...]:
    """The cleaning steps that a model needs: those that looked at whole examples have done theirs,
    and what they want need not be installed where the model is used.
    """
    return tuple(choice for choice in clean if not hasattr(made(registry, choice), "example"))


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
        clean=_of_texts(prepared.config.data.clean, config.registry),
        extensions=prepared.config.extensions,
        facts=prepared.data.facts,
    )
    task = stage.recipe.task
    writes = isinstance(task, Generates) and not isinstance(task, Writes)
    went_on = read_changes(stage.folder.parent)
    card = model_card(settings, stage.name, prepared.about, evaluation, writes, went_on)
    save_model(
        folder,
        model,
        config.registry,
        tokenizer,
        stage.engine.state("model"),
        card,
    )
