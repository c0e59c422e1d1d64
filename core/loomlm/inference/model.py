"""Loads a model and predicts with it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from attrs import define, evolve

from loomlm.config.load import Tree, named_plugins, read_tree
from loomlm.config.settings import TrainerConfig
from loomlm.config.structure import make_converter
from loomlm.contracts import Cleaner, Engine, Example, Tokenizer
from loomlm.data.batches import ExampleRows
from loomlm.data.columns import ColumnStore
from loomlm.data.examples import clean
from loomlm.data.prepare import load_tokenizer, made
from loomlm.errors import UsageError, did_you_mean
from loomlm.inference.scoring import Recipe, ordered_batches
from loomlm.models.arrays import from_safetensors
from loomlm.models.folder import WEIGHTS, ModelConfig, read_model
from loomlm.models.spec import model_spec
from loomlm.registry import Registry

BATCH_SIZE = 256


@define
class Model:
    """A model that predicts.

    module: the framework's own model; on PyTorch a `torch.nn.Module` whose forward takes a dict
    of tensors as `batch(texts)` makes them. labels: names in the order of the logits.
    """

    config: ModelConfig
    engine: Engine
    recipe: Recipe
    tokenizer: Tokenizer
    cleaners: Sequence[Cleaner]

    @property
    def module(self) -> Any:
        return self.engine.module

    @property
    def labels(self) -> list[str]:
        return list(self.recipe.facts.get("labels", ()))

    def predict(self, texts: Iterable[str], batch_size: int = BATCH_SIZE) -> list[dict[str, Any]]:
        """What the task says of each text: for classification, `label` and `probabilities`."""
        if isinstance(texts, str):
            raise UsageError("predict takes a list of texts; wrap a single one in brackets.")
        texts = list(texts)
        for index, text in enumerate(texts):
            if not isinstance(text, str):
                raise UsageError(f"predict takes texts; number {index} is {text!r}.")
        store = self._encode(texts)
        found: list[dict[str, Any]] = [{}] * len(texts)
        for rows, batch in ordered_batches(self.recipe, store, min(batch_size, max(1, len(texts)))):
            logits = self.engine.forward(batch)[: len(rows)]
            decoded = self.recipe.task.decode(logits, self.recipe.facts)
            for row, prediction in zip(rows, decoded, strict=True):
                found[row] = prediction
        return found

    def batch(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """The arrays that `module` reads, for these texts, in one batch."""
        store = self._encode(texts)
        rows, batch = next(iter(ordered_batches(self.recipe, store, len(texts))))
        back = np.argsort(rows)
        return {name: array[back] for name, array in batch.arrays.items()}

    def _encode(self, texts: Sequence[str]) -> ExampleRows:
        examples = [Example(clean(text, self.cleaners)) for text in texts]
        columns = self.recipe.task.encode(examples, self.tokenizer, self.recipe.facts, False)
        return ExampleRows(ColumnStore(dict(columns), len(texts), {}))


def load_model(
    path: str | Path,
    *,
    backend: str | None = None,
    device: str = "auto",
    plugins: Sequence[str] = (),
    block: Iterable[str] = (),
) -> Model:
    """The model in a model folder, or the final one of a run's folder.

    backend: another than the one that trained it. plugins: modules or .py files that it needs
    besides the installed ones; a run's own config is asked for them too. block: names of plugins
    not to load.

    Raises UsageError when there is no model there, DamagedError when its files have changed,
    PluginError when a part of it is not installed.
    """
    folder = model_folder(Path(path))
    config = Path(path) / "config.toml"
    named = config.is_file() and folder != Path(path)
    registry = registry_of_run(read_tree(config) if named else None, plugins, block)
    return open_model(folder, registry, backend, device)


def registry_of_run(tree: Tree | None, plugins: Sequence[str], block: Iterable[str]) -> Registry:
    """The installed plugins, those that are given, and those that a run's config names.

    One of a run's that has moved or broken since is an error only where a part of it is needed.
    """
    return Registry.load(plugins, block, optional=named_plugins(tree) if tree else ())


def open_model(
    folder: Path, registry: Registry, backend: str | None = None, device: str = "auto"
) -> Model:
    """The model in a model folder, made with the components of a registry."""
    config = read_model(folder, registry)
    tokenizer = load_tokenizer(config.tokenizer, registry, folder)
    recipe = Recipe(made(registry, config.task), made(registry, config.backbone), config.facts)
    engine = _engine(config, recipe, tokenizer, registry, backend or config.backend, device)
    engine.load_state("model", from_safetensors(folder / WEIGHTS).items())
    cleaners = [made(registry, choice) for choice in config.clean]
    return Model(config, engine, recipe, tokenizer, cleaners)


def _engine(
    config: ModelConfig,
    recipe: Recipe,
    tokenizer: Tokenizer,
    registry: Registry,
    backend: str,
    device: str,
) -> Engine:
    component = registry.usable("trainer", backend)
    trainer = component.load()(component.config())
    converter = make_converter(registry, Path())
    settings = converter.structure({"device": device, "precision": "fp32"}, TrainerConfig)
    resolved = {
        name: value for name, (value, _) in trainer.resolve(settings, recipe.backbone).items()
    }
    spec = model_spec(
        config.backbone.type,
        config.backbone.config,
        recipe.backbone,
        recipe.task,
        recipe.facts,
        tokenizer,
        recipe.task.batch_spec(recipe.facts, []),
    )
    return trainer.engine(
        spec, evolve(settings, **resolved), lambda kind, name: registry.builder(kind, name, backend)
    )


def model_folder(path: Path) -> Path:
    """The model's folder that a path means: itself, or that of a run or of one of its stages.

    Raises UsageError when there is none.
    """
    if (path / "model" / "config.json").is_file():
        return path / "model"
    if (path / "config.json").is_file():
        return path
    if (path / "config.toml").is_file():
        raise UsageError(f"The run {path} has no model yet. {how_to_go_on(path)}")
    around = path if path.is_dir() else path.parent
    runs = [found.parent.name for found in around.glob("*/config.toml")]
    near = did_you_mean(path.name, runs)
    raise UsageError(f"There is no run or model in {path}. {near}".rstrip())


def how_to_go_on(folder: Path) -> str:
    """What to type for a run that has not ended."""
    config = shlex.quote(str(folder / "config.toml"))
    runs = shlex.quote(str(folder.parent))
    return f"Go on with `loomlm run {config} --runs {runs} --resume=must`."
