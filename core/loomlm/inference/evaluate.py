"""Scores a finished run's model, on its own splits or on other data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from attrs import evolve

from loomlm.config.load import check_tree, read_tree
from loomlm.config.settings import Choice, DataConfig
from loomlm.config.show import plain
from loomlm.config.structure import make_converter
from loomlm.contracts import Outcome, Writes
from loomlm.data.prepare import encode_examples, extended
from loomlm.data.reading import identity, read_examples
from loomlm.errors import UsageError, did_you_mean
from loomlm.inference.decoding import HowToWrite
from loomlm.inference.details import Details, with_details
from loomlm.inference.folders import how_to_go_on
from loomlm.inference.model import Model, open_model, registry_of_run
from loomlm.inference.scoring import Write, evaluate, make_metrics
from loomlm.inference.told import Told
from loomlm.registry import Registry


def evaluate_run(
    folder: str | Path,
    data: str | None = None,
    split: str | None = None,
    plugins: Sequence[str] = (),
    block: Iterable[str] = (),
    backend: str | None = None,
    batch_size: int | None = None,
    output: str | None = None,
    **how: Unpack[HowToWrite],
) -> tuple[str, str, dict[str, Any]]:
    """The stage, the split's name and the scores of a run's final model.

    split: one of the run's own; test by default. data: a file to score instead; read with the
    columns and options that the run's data has. plugins, block, backend: as of `load_model`.
    batch_size: rows that are scored together, in place of the run's `evaluation_batch_size`.
    output: a file for what was predicted of each example, beside what is right, as lines of JSON.
    how: what a task that writes is to do otherwise, as of `loomlm.inference.decoding.Decoding`.

    Raises UsageError when there is no such run or split, its data takes no other file, or it is
    said how to write to a task that does not.
    """
    path = Path(folder)
    _check_folder(path)
    tree = read_tree(path / "config.toml")
    registry = registry_of_run(tree, plugins, block)
    settings = check_tree(tree, registry).settings
    model = open_model(path / "model", registry, backend)
    stage = next(s for s in settings.stages if s.name == model.config.stage)
    wanted = stage.data if data is None else _other_data(stage.data, data, registry)
    examples = read_examples(
        wanted, registry, settings.seed, _quiet, None if data is None else "test"
    )
    name = Path(data).name if data is not None else split or "test"
    found = dict(examples.splits) if data is None else {name: examples.splits["test"]}
    if name not in found:
        raise UsageError(f"The run has no split {name!r}. {did_you_mean(name, found)}")
    chosen = evolve(examples, splits={name: found[name]}, stream=None)
    scored = extended(chosen, model.recipe.extensions, registry, _quiet)
    encoded = encode_examples(
        model.recipe.task,
        identity(registry, stage.task),
        model.tokenizer,
        scored,
        _quiet,
        model.recipe.facts,
    )
    metrics = make_metrics(
        stage.metrics or default_metrics(model.recipe.task, registry),
        registry,
        model.recipe.task,
        model.recipe.facts,
    )
    size = batch_size or stage.trainer.evaluation_batch_size
    written = writing(model, how)
    told = Told(model.labels)
    details = Details.of(model.recipe.task, model.recipe.facts, metrics)

    def see(rows: np.ndarray, outcome: Outcome) -> None:
        told.see(rows, outcome)
        details.see(rows, outcome)

    scores = evaluate(
        model.engine,
        model.recipe,
        encoded.splits[name],
        metrics,
        size,
        what=name,
        write=written,
        seen=see,
    )
    if output is not None:
        told.save(Path(output), scored.splits[name])
    scores = with_details(scores, details, scored.splits[name], settings.seed)
    return stage.name, name, scores


def writing(model: Model, how: HowToWrite) -> Write | None:
    """What a model's task is scored by, where it is one that writes.

    Raises UsageError where it is said how to write to one that does not.
    """
    if not isinstance(model.recipe.task, Writes):
        if how:
            raise UsageError(
                f"{next(iter(how))} says how to write, and {model.config.task.type} is not scored "
                "by what it writes. Leave it out."
            )
        return None
    generator = model.generator()
    return partial(generator.outcomes, decoding=generator.how(**how))


def _check_folder(path: Path) -> None:
    if (path / "config.json").is_file():
        raise UsageError(f"{path} is a model; give the folder of its run, such as {path.parent}.")
    if not (path / "config.toml").is_file():
        around = path if path.is_dir() else path.parent
        runs = [found.parent.name for found in around.glob("*/config.toml")]
        raise UsageError(
            f"{path} is not a run: it has no config.toml. {did_you_mean(path.name, runs)}".rstrip()
        )
    if not (path / "model").is_dir():
        raise UsageError(f"{path} has no model yet. {how_to_go_on(path)}")


def default_metrics(task: Any, registry: Registry) -> tuple[Choice, ...]:
    """The metrics that a task has where the config names none, with their defaults."""
    return tuple(
        Choice("metric", name, registry.find("metric", name).component.config())
        for name in task.default_metrics
    )


def _other_data(config: DataConfig, path: str, registry: Registry) -> DataConfig:
    """The stage's data table with another test file, read as its first source is."""
    part = config.parts[0]
    choice = part.source
    options = {name: value for name, value in plain(choice.config).items() if value is not None}
    kind = registry.usable("data_source", choice.type)
    target = registry.target("data_source", choice.type)
    if not hasattr(target, "with_file"):
        raise UsageError(
            f"Data of the type {choice.type!r} cannot be read from another file. Score a "
            "split of the run's own data, or train on files."
        )
    converter = make_converter(registry, Path.cwd())
    source = converter.structure(target.with_file(options, path), kind.config)
    return evolve(
        config,
        source=Choice("data_source", choice.type, source),
        sources=(),
        clean=(*part.clean, *config.clean),
    )


def _quiet(message: str) -> None:
    """Evaluation says nothing on the way."""
