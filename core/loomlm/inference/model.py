"""Loads a model, predicts and writes with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Unpack, overload

import numpy as np
from attrs import define, evolve

from loomlm.config.load import Tree, control_of, read_tree
from loomlm.config.settings import Auto, TrainerConfig
from loomlm.config.structure import make_converter
from loomlm.contracts import (
    Batch,
    Cleaner,
    Engine,
    Example,
    Fills,
    Generates,
    Joins,
    ModelSpec,
    Predicts,
    Tokenizer,
    Writes,
)
from loomlm.data.batches import ExampleRows
from loomlm.data.cleaning import text_cleaners
from loomlm.data.columns import ColumnStore
from loomlm.data.prepare import load_tokenizer
from loomlm.data.reading import made
from loomlm.errors import PluginError, UsageError
from loomlm.extending import Extensions
from loomlm.inference.decoding import HowToWrite
from loomlm.inference.folders import CONFIG, MODEL_CONFIG, model_folder, models_of, run_of
from loomlm.inference.generate import Generator
from loomlm.inference.joining import Joining
from loomlm.inference.memory import memory_for, size_of
from loomlm.inference.rows import Row, examples_of_rows
from loomlm.inference.scoring import Recipe, ordered_batches, told
from loomlm.models.arrays import from_safetensors
from loomlm.models.fitting import check_weights, said_by
from loomlm.models.folder import WEIGHTS, ModelConfig, describe_model, read_model
from loomlm.models.spec import model_spec
from loomlm.registry import Registry, forbids_local
from loomlm.storage.foreign import ForeignError

BATCH_SIZE = 256


@define
class Model:
    """A model that predicts or, of a task that generates, writes.

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

    @property
    def continues(self) -> bool:
        """Whether what it writes goes on from the prompt; a source, or a request, is answered."""
        return self.generator().continues

    def predict(
        self, rows: Iterable[Row], batch_size: int = BATCH_SIZE, **how: Unpack[HowToWrite]
    ) -> list[dict[str, Any]]:
        """What the task says of each row: for classification, `label` and `probabilities`.

        A task that writes an answer gives it as `prediction`, and as `score` the mean logarithm of
        the probabilities of its tokens.

        rows: texts, or mappings with a "text" and what else the task reads, by the names that
        training knew them by: `{"text": ..., "pair": ...}`. Further keys are no matter. how: of a
        task that writes, what it is to do otherwise than it says itself, as of `generate`.

        Raises UsageError for a row that lacks a text, and where the task only goes on from texts.
        """
        task = self.recipe.task
        if isinstance(task, Writes):
            return self._answers(examples_of_rows(rows, task, self.cleaners), batch_size, how)
        if not isinstance(task, Predicts | Joins):
            raise UsageError(
                f"A model for {self.config.task.type} gives no labels. Let it write: `loomlm "
                "generate`, or `model.generate(prompt)`."
            )
        if how:
            raise UsageError(
                f"{next(iter(how))} says how to write, and a model for {self.config.task.type} "
                "writes nothing. Leave it out."
            )
        examples = examples_of_rows(rows, task, self.cleaners)
        store = self._encode(examples)
        found: list[dict[str, Any]] = [{}] * len(examples)
        joining = Joining(task, self.recipe.facts) if isinstance(task, Joins) else None
        for places, batch in ordered_batches(self.recipe, store, batch_size):
            with memory_for(lambda batch=batch: _too_large(batch)):
                logits = self.engine.forward(batch)
            if joining is not None:
                joining.add(places, store.take(places), logits)
                continue
            decoded = self._decoded(logits, store, places)
            for place, prediction in zip(places, decoded, strict=True):
                found[place] = prediction
        return found if joining is None else joining.answers()

    def _answers(
        self, examples: Sequence[Example], batch_size: int, how: HowToWrite
    ) -> list[dict[str, Any]]:
        task, generator = self.recipe.task, self.generator()
        assert isinstance(task, Writes)
        decoding, rows = generator.how(**how), self._encode(examples)
        found: list[dict[str, Any]] = [{}] * len(examples)
        for places, _ in rows.ordered(max(1, batch_size // decoding.beams)):
            asked = task.ask(rows.take(places), self.recipe.facts)
            answers = generator.answers(asked, decoding, places)
            for place, answer in zip(places, answers, strict=True):
                found[place] = {"prediction": answer.text, "score": answer.score}
        return found

    @overload
    def generate(self, prompt: str, **how: Unpack[HowToWrite]) -> str: ...

    @overload
    def generate(
        self, prompt: list[str] | tuple[str, ...], **how: Unpack[HowToWrite]
    ) -> list[str]: ...

    def generate(
        self, prompt: str | list[str] | tuple[str, ...], **how: Unpack[HowToWrite]
    ) -> str | list[str]:
        """What the model writes after a prompt, or after each of several.

        how: max_tokens=200, temperature=0.8, top_k=None, top_p=None, seed=0, beams=1,
        length_penalty=1.0, stop=(), as of `loomlm.inference.decoding.Decoding`; a task that writes
        answers has its own. The same seed gives the same text.

        Raises UsageError where the task writes no text, and for what cannot be; DataError for a
        prompt that the vocabulary has nothing of.
        """
        prompts = [prompt] if isinstance(prompt, str) else prompt
        generator = self.generator()
        texts = generator.texts(prompts, generator.how(**how))
        return texts[0] if isinstance(prompt, str) else texts

    def stream(self, prompt: str, **how: Unpack[HowToWrite]) -> Iterator[str]:
        """The pieces of what `generate` gives, as they come; takes and raises the same."""
        generator = self.generator()
        return generator.stream(prompt, generator.how(**how))

    def generator(self) -> Generator:
        """What writes. Raises UsageError where the task writes no text."""
        if not isinstance(self.recipe.task, Generates):
            raise UsageError(
                f"A model for {self.config.task.type} writes no text; it predicts. Where another "
                'stage of its run does, name it: --stage, or `load_model(run, stage="...")`.'
            )
        return Generator(self.engine, self.recipe, self.tokenizer, self.cleaners)

    def batch(self, rows: Sequence[Row]) -> dict[str, np.ndarray]:
        """The arrays that `module` reads, for these rows, as `predict` takes them, in one batch."""
        store = self._encode(examples_of_rows(rows, self.recipe.task, self.cleaners))
        places, batch = next(iter(ordered_batches(self.recipe, store, store.span)))
        back = np.argsort(places)
        return {name: array[back] for name, array in batch.arrays.items()}

    def _decoded(
        self, logits: np.ndarray, store: ExampleRows, places: np.ndarray
    ) -> list[dict[str, Any]]:
        """What the logits of some rows say."""
        task, facts = self.recipe.task, self.recipe.facts
        if isinstance(task, Fills):
            return task.filled(logits, store.take(places), self.tokenizer, facts)
        assert isinstance(task, Predicts)
        return task.decode(logits, facts)

    def _encode(self, given: Sequence[Example]) -> ExampleRows:
        examples = list(self.recipe.extensions.examples(given, "predict"))
        if len(examples) != len(given):
            raise PluginError(
                f"Of {len(given)} texts to predict, {len(examples)} came out of the extensions "
                f"{', '.join(c.type for c in self.recipe.extensions.choices)}; each must."
            )
        columns = self.recipe.task.encode(examples, self.tokenizer, self.recipe.facts, False)
        return ExampleRows(ColumnStore.of(columns), self.recipe.task.context)


def _too_large(batch: Batch) -> str:
    return (
        f"A batch to predict had {size_of([batch])}. Give a smaller batch_size (`loomlm predict` "
        "takes --batch-size), or shorter texts."
    )


def load_model(
    path: str | Path,
    stage: str | None = None,
    *,
    generates: bool = False,
    backend: str | None = None,
    device: str = "auto",
    plugins: Sequence[str] = (),
    block: Iterable[str] = (),
) -> Model:
    """The model in a model folder, a stage's, or a run's.

    stage: which one's of a run; the last by default, or, where it is one that `generates` that is
    wanted, the last that does. backend: another than the one that trained it. plugins: modules or
    .py files that it needs besides the installed ones; a run's own config is asked for them too.
    block: names of plugins not to load.

    Raises UsageError when there is no such model, DamagedError when its files have changed,
    PluginError when a part of it is not installed.
    """
    registry = registry_at(Path(path), plugins, block)
    folder = _last_that_writes(Path(path), registry) if generates and stage is None else None
    return open_model(folder or model_folder(Path(path), stage), registry, backend, device)


def _last_that_writes(path: Path, registry: Registry) -> Path | None:
    """Of a run, the model of the last stage that generates text; None where there is no run.

    Raises UsageError when no stage does.
    """
    run, named = run_of(path)
    if run is None or named is not None or not models_of(run):
        return None
    described = [(model, describe_model(model, registry)) for model in models_of(run).values()]
    writing = [m for m, c in described if isinstance(made(registry, c.task), Generates)]
    if not writing:
        tasks = ", ".join(f"{config.stage} is for {config.task.type}" for _, config in described)
        raise UsageError(f"No stage of {path} writes text: {tasks}. Use `loomlm predict`.")
    return writing[-1]


def registry_at(path: Path, plugins: Sequence[str], block: Iterable[str]) -> Registry:
    """The registry for the model that a path means: a run has a config that names plugins."""
    run, _ = run_of(path)
    return registry_of_run(read_tree(run / CONFIG) if run else None, plugins, block)


def registry_of_run(tree: Tree | None, plugins: Sequence[str], block: Iterable[str]) -> Registry:
    """The installed plugins, those that are given, and those that a run's config names.

    One of a run's that has moved or broken since is an error only where a part of it is needed.
    Raises ForeignError for a file in the run's own folder: a run writes no code into it, and names
    files by their whole paths, so somebody else has put it there.
    """
    block = tuple(block)
    if tree is not None and not forbids_local(block):
        _refuse_code_of(tree)
    return Registry.load(plugins, block, control_of(tree) if tree else None)


def _refuse_code_of(tree: Tree) -> None:
    table = tree.values.get("plugins", {})
    named = table.get("load", []) if isinstance(table, dict) else table
    for name in named if isinstance(named, list) else []:
        if not isinstance(name, str) or not name.endswith(".py"):
            continue
        path = Path(name).expanduser()
        if not path.is_absolute() or tree.folder in path.resolve().parents:
            raise ForeignError(
                f"{tree.folder / CONFIG} loads the code {name}, which no run has in its folder. "
                "Read it, and load it yourself with -p if you trust it; --no-local-plugins goes "
                "on without it."
            )


def open_model(
    folder: Path,
    registry: Registry,
    backend: str | None = None,
    device: str = "auto",
    threads: int | Auto = "auto",
) -> Model:
    """The model in a model folder, made with the components of a registry."""
    config = read_model(folder, registry)
    tokenizer = load_tokenizer(config.tokenizer, registry, folder)
    recipe = Recipe(
        made(registry, config.task),
        told(made(registry, config.backbone), tokenizer),
        config.facts,
        Extensions.of(config.extensions, registry),
    )
    with said_by(folder / MODEL_CONFIG, "its parts do not fit together"):
        spec = _spec(config, recipe, tokenizer)
    check_weights(folder / WEIGHTS, spec.layout)
    where = {"device": device, "threads": threads}
    with memory_for(lambda: f"The model in {folder} needs a machine or device with more."):
        engine = _engine(spec, recipe, registry, backend or config.backend, where)
        engine.load_state("model", from_safetensors(folder / WEIGHTS).items())
    cleaners = text_cleaners(made(registry, choice) for choice in config.clean)
    return Model(config, engine, recipe, tokenizer, cleaners)


def _spec(config: ModelConfig, recipe: Recipe, tokenizer: Tokenizer) -> ModelSpec:
    check_facts = getattr(recipe.task, "check_facts", None)
    if check_facts is not None:
        check_facts(recipe.facts)
    plain_spec = model_spec(
        config.backbone.type,
        config.backbone.config,
        recipe.backbone,
        recipe.task,
        recipe.facts,
        tokenizer,
        recipe.task.batch_spec(recipe.facts, []),
    )
    return recipe.extensions.spec(plain_spec)


def _engine(
    spec: ModelSpec, recipe: Recipe, registry: Registry, backend: str, where: dict[str, Any]
) -> Engine:
    component = registry.usable("trainer", backend)
    trainer = registry.target("trainer", backend)(component.config())
    converter = make_converter(registry, Path())
    settings = converter.structure({**where, "precision": "fp32"}, TrainerConfig)
    resolved = {
        name: value for name, (value, _) in trainer.resolve(settings, recipe.backbone).items()
    }
    builders = recipe.extensions.builders(registry, backend)
    return trainer.engine(spec, evolve(settings, **resolved), builders)
