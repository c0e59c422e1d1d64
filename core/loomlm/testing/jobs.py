"""What a worker does for a check: with one backend, through the doors that users take."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from attrs import evolve, frozen

from loomlm.config.load import Config, load_config
from loomlm.contracts import (
    Batch,
    CheckpointSaved,
    FitContext,
    Generates,
    Metric,
    Normal,
    Parameter,
    Predicts,
    Tokenizer,
    Uniform,
    produced,
)
from loomlm.data.batches import Rows
from loomlm.data.vocabularies import tokens_of
from loomlm.hookspecs import hookimpl
from loomlm.inference.decoding import never_said
from loomlm.inference.model import Model, open_model
from loomlm.inference.running import Running
from loomlm.inference.scoring import Recipe, evaluate, make_metrics, ordered_batches
from loomlm.models.folder import ModelConfig, save_model
from loomlm.models.initial import initial_arrays
from loomlm.registry import Registry
from loomlm.storage.lock import LOCKS
from loomlm.testing.trials import Trial, choice_of
from loomlm.training.run import Run, prepare, run
from loomlm.training.stages import Prepared, stage_spec

BATCH = 16
"""Rows of a batch in evaluation: the last of a split is not full."""

FORWARDS = 4
"""Batches whose logits are kept."""

PROMPTS = 4


def carry_out(job: Mapping[str, Any]) -> dict[str, Any]:
    """Do a job; gives what can be told in JSON, and leaves arrays in the job's folder.

    kind: "model", "train" or "resume". config: a run's, as a dict. backend: whose job it is.
    plugins, block: as of `load_config`. root, folder: where the job may write.
    """
    backend = job["backend"]
    config = load_config(job["config"], backend=backend, plugins=job["plugins"], block=job["block"])
    folder = Path(job["root"], job["folder"])
    folder.mkdir(parents=True)
    if job["kind"] == "model":
        return use_model(config, backend, folder)
    if job["kind"] == "train":
        return train(config, folder, job["keep_at"])
    return go_on(config, folder, Path(job["begun"]))


def train(config: Config, folder: Path, keep_at: int) -> dict[str, Any]:
    """A whole run. `kept` is a copy of its folder as it was behind the checkpoint of a step:
    what a process that was killed just then leaves.
    """
    kept = folder / f"kept_at_{keep_at}"
    return {**_told(run(config, runs=folder, observers=[_Keep(keep_at, kept)])), "kept": str(kept)}


def go_on(config: Config, folder: Path, begun: Path) -> dict[str, Any]:
    """The end of a run that began in another process, on another backend."""
    shutil.copytree(begun, folder / config.settings.name)
    return _told(run(config, runs=folder, resume="must"))


@frozen
class _Keep:
    """Copies a run's folder when the checkpoint of a step is complete."""

    step: int
    to: Path

    @hookimpl
    def loomlm_checkpoint_saved(self, event: CheckpointSaved) -> None:
        if event.step == self.step:
            whole = Path(event.folder).parents[2]
            shutil.copytree(whole, self.to, ignore=shutil.ignore_patterns(*LOCKS))


def _told(done: Run) -> dict[str, Any]:
    """losses and norms: one for each step. scores: of the evaluation at the end."""
    (stage,) = done.evaluation
    text = (done.folder / stage / "metrics.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    trained = [line for line in lines if line["split"] == "train"]
    return {
        "steps": [line["step"] for line in trained],
        "losses": [line["loss"] for line in trained],
        "norms": [line["gradient_norm"] for line in trained],
        "scores": done.evaluation[stage]["validation"],
    }


def use_model(config: Config, backend: str, folder: Path) -> dict[str, Any]:
    """A model that was not trained, whose every weight has its say: logits, scores, text.

    Arrays in `arrays.npz`: `logits` (n, outputs) of some real places; where the answer is read
    off them, `predictions` and `references` of the whole split; where text is written, `tokens`
    and `gaps` (steps, rows), the difference of the two best logits.
    """
    tokenizer, (prepared,) = prepare(config.settings, config.registry, _quiet)
    _write_model(config, backend, folder / "model", prepared, tokenizer)
    model = open_model(folder / "model", config.registry, backend, "cpu", threads=1)
    rows = prepared.data.splits["validation"]
    arrays = {"logits": np.concatenate(list(_logits(model, rows)))}
    metrics = all_metrics(config.registry, model.recipe)
    scores = evaluate(model.engine, model.recipe, rows, metrics, BATCH)
    task = model.recipe.task
    if isinstance(task, Predicts):
        outcomes = [
            task.outcome(model.engine.forward(batch), batch)
            for _, batch in ordered_batches(model.recipe, rows, BATCH)
        ]
        arrays["predictions"] = np.concatenate([outcome.predictions for outcome in outcomes])
        arrays["references"] = np.concatenate([outcome.references for outcome in outcomes])
    if isinstance(task, Generates):
        texts = _prompts(config, prepared)
        arrays["tokens"], arrays["gaps"] = _write_text(
            model, task.prompt(texts, tokenizer, model.recipe.facts)
        )
    np.savez(folder / "arrays.npz", allow_pickle=False, **arrays)
    return {"arrays": str(folder / "arrays.npz"), "scores": dict(scores)}


def _write_model(
    config: Config, backend: str, folder: Path, prepared: Prepared, tokenizer: Tokenizer
) -> None:
    """A model's folder with weights that are a function of seed and layout."""
    settings, seed = config.settings, config.settings.seed
    spec = stage_spec(prepared, settings, tokenizer)
    context = FitContext(tokenizer=tokenizer, tokens=prepared.data.tokens["train"], seed=seed)
    fitted = prepared.recipe.backbone.fit(context)
    described = ModelConfig(
        backend=backend,
        stage=prepared.config.name,
        backbone=settings.backbone,
        task=prepared.config.task,
        tokenizer=settings.tokenizer,
        clean=(),
        facts=prepared.data.facts,
    )
    arrays = initial_arrays(tuple(map(wider, spec.layout)), seed, fitted)
    save_model(folder, described, config.registry, tokenizer, arrays, "For a check.\n")


def wider(parameter: Parameter) -> Parameter:
    """The parameter with larger initial values: every one is to matter, biases and norms too.

    What a matrix gives is half as large again as what it gets: with less, some mistakes stay below
    the limit; with more, logits are so large that rounding does not.
    """
    if not parameter.trainable:
        return parameter
    if parameter.role == "vector":
        return evolve(parameter, init=Uniform(1.0))
    if parameter.role == "embedding":
        return evolve(parameter, init=Normal(1.0))
    inputs = prod(parameter.shape[1:])
    return evolve(parameter, init=Normal(1.5 * inputs**-0.5))


def _logits(model: Model, rows: Rows) -> Iterator[np.ndarray]:
    """Of some batches, the narrowest and the widest too, without what is padding."""
    batches = [batch for _, batch in ordered_batches(model.recipe, rows, BATCH)]
    chosen = np.unique(np.linspace(0, len(batches) - 1, FORWARDS).round().astype(int))
    for index in chosen:
        batch = batches[index]
        # Spans have places that are not read, and count by rows.
        real = batch["allowed" if "allowed" in batch else "weight"] > 0
        yield model.engine.forward(batch)[real]


def all_metrics(registry: Registry, recipe: Recipe) -> list[Metric]:
    """Every installed metric that can score the task, with the keys of its first trial."""
    names = [entry.component.name for entry in registry.of("metric")]
    usable = [registry.find("metric", name).component for name in names]
    choices = [
        choice_of("metric", Trial(c.name, *next(iter(c.trials.items()))), registry)
        for c in usable
        if not c.missing() and produced(recipe.task) & c.load().accepts
    ]
    return make_metrics(choices, registry, recipe.task, recipe.facts)


def _prompts(config: Config, prepared: Prepared) -> list[str]:
    """The first characters of some texts, each longer than the one before."""
    from loomlm.data.reading import read_examples

    data = prepared.config.data
    splits = read_examples(data, config.registry, config.settings.seed, _quiet).splits
    texts = [text for _, text in zip(range(PROMPTS), splits["validation"].texts(), strict=False)]
    return [text[: 3 + 5 * index] for index, text in enumerate(texts)]


def _write_text(model: Model, prompt: Batch) -> tuple[np.ndarray, np.ndarray]:
    """The likeliest tokens behind each row, also where no token fits into the context any more.

    An end is a token like another here, so that all rows are equally long.
    """
    written = tokens_of(model.recipe.task, model.tokenizer)
    running = Running(model.engine, model.recipe, prompt, never_said(written))
    tokens, gaps = [], []
    for _ in range(model.recipe.task.context + PROMPTS):
        best = np.sort(running.logits, axis=1)[:, -2:]
        tokens.append(running.logits.argmax(axis=1))
        gaps.append(best[:, 1] - best[:, 0])
        running.add(tokens[-1])
        if running.full.any():
            break
        running.advance()
    return np.array(tokens), np.array(gaps)


def _quiet(message: str) -> None:
    """A check says nothing on the way."""
