"""The small models that backbones and trainers are checked with: texts, specs, engines.

Everything goes through the contracts alone, so the checks serve any backend.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from attrs import evolve, field, fields, frozen

from loomlm.components import NoConfig
from loomlm.config.check import misfits
from loomlm.config.settings import Choice, TrainerConfig
from loomlm.contracts import (
    Batch,
    Engine,
    Example,
    FitContext,
    ModelSpec,
    Parameter,
    Ragged,
    Task,
    Tokenizer,
    Trainer,
)
from loomlm.data.batches import ExampleRows
from loomlm.data.columns import ColumnStore
from loomlm.errors import PluginError, UsageError
from loomlm.inference.scoring import Recipe, told
from loomlm.models.initial import initial_arrays
from loomlm.models.spec import model_spec
from loomlm.registry import Registry
from loomlm.testing.conformance.cases import Subject
from loomlm.testing.jobs import wider
from loomlm.testing.sample import LettersFactory
from loomlm.testing.trials import Labels, Trial, choice_of, labels_of

SEED = 17

GROUPS = {"first": "abcd", "second": "efgh", "third": "ijkl"}
"""A text has the letters of one group, in their order; the group is its label."""

LETTERS = "".join(GROUPS.values())

TEXTS = 12
LONGEST = 10
"""Letters of the longest text."""

FURTHER = 2
"""Letters of the longest further text, of a task that reads several."""

ROOM = 3
"""Places that every row leaves free, for padding."""

DROPPED = 0.4

Rows = Sequence[int] | np.ndarray | None
"""Numbers of some rows, or None for all."""


@frozen(kw_only=True)
class SmallModel:
    """A backbone with a task on a backend: what its engines are made from.

    rows: the encoded texts, TEXTS of unequal length, which batches take from.
    """

    registry: Registry
    backend: str
    trainer: Trainer
    backbone: Choice
    trial: Trial
    task: Choice
    recipe: Recipe
    tokenizer: Tokenizer
    rows: ExampleRows = field(eq=False)
    spec: ModelSpec = field(eq=False)
    _kept: dict[str, Engine] = field(factory=dict, init=False, eq=False, repr=False)

    def __str__(self) -> str:
        return f"{self.backbone.type} with {self.trial}"

    @property
    def needs(self) -> frozenset[str]:
        """What the task wants of a backbone."""
        return self.recipe.task.needs

    @property
    def stored(self) -> tuple[Parameter, ...]:
        """The parameters that have values of their own."""
        return tuple(p for p in self.spec.layout if p.tied_to is None)

    @property
    def lengths(self) -> np.ndarray:
        """The places that each row takes, (TEXTS,)."""
        return self.rows.lengths - (1 if self.recipe.task.stream else 0)

    def wide_engine(self, anew: bool = False) -> Engine:
        """An engine with weights so large that every one has its say, and without decay: then an
        update leaves alone what has no gradient.

        It is made once, unless it is wanted anew. The weights are those to begin with each time;
        the optimizer's state may be an older one.
        """
        layout = tuple(evolve(wider(parameter), decay=False) for parameter in self.spec.layout)
        engine = None if anew else self._kept.get("wide")
        if engine is None:
            engine = self._kept["wide"] = self.engine(spec=evolve(self.spec, layout=layout))
        engine.load_state("model", self._initial(layout))
        return engine

    def engine(
        self, optimizer: Choice | None = None, spec: ModelSpec | None = None, **keys: Any
    ) -> Engine:
        """An engine with initial weights.

        optimizer: the backend's first by default. spec: another than the model's. keys: further
        ones of the trainer's config.
        """
        spec = spec or self.spec
        chosen = optimizer or optimizers(self.registry, self.backend)[0].choice
        config = trainer_config(self.trainer, self.recipe.backbone, optimizer=chosen, **keys)
        engine = self.trainer.engine(
            spec, config, lambda kind, name: self.registry.builder(kind, name, self.backend)
        )
        engine.load_state("model", self._initial(spec.layout))
        return engine

    def _initial(self, layout: tuple[Parameter, ...]) -> Iterator[tuple[str, np.ndarray]]:
        tokens = self.rows.store.columns["tokens"]
        assert isinstance(tokens, Ragged)
        context = FitContext(tokenizer=self.tokenizer, tokens=tokens, seed=SEED)
        return initial_arrays(layout, SEED, self.recipe.backbone.fit(context))

    def collated(self, rows: Rows = None, width: int = 0, height: int = 0) -> Batch:
        """A batch of some rows, all by default, as the task makes it.

        It is at least `width` wide, and at least `height` high: there are empty rows behind.
        """
        taken = np.arange(TEXTS) if rows is None else np.array(rows)
        wide = max(width, int(self.lengths[taken].max()))
        shape = {"batch": max(height, len(taken)), "time": wide}
        columns = self.recipe.varied(self.rows.take(taken), taken)
        return self.recipe.task.collate(columns, shape, self.recipe.facts)

    def batch(self, rows: Rows = None, width: int = 0, height: int = 0) -> Batch:
        """The same as the backbone's module reads it."""
        return self.recipe.backbone.prepare(self.collated(rows, width, height))


def trainer_of(registry: Registry, backend: str) -> Trainer:
    """A backend with its default keys."""
    return registry.target("trainer", backend)(registry.find("trainer", backend).component.config())


def models_of(subject: Subject) -> list[SmallModel]:
    """A backbone with each kind of task that it can do; the same ones for the next check.

    Raises AssertionError where no installed task fits it.
    """
    key = (id(subject.registry), subject.component, repr(subject.keys), subject.backend)
    trainer = trainer_of(subject.registry, subject.backend)
    found = subject.shared.made(key, lambda: small_models(subject, trainer))
    assert found, f"no installed task fits {subject.component.name}"
    return found


def small_models(subject: Subject, trainer: Trainer, every: bool = False) -> list[SmallModel]:
    """A backbone with what it can do: the first task of those that have the same needs.

    every: with every trial of every task.
    """
    registry, config = subject.registry, subject.config
    backbone = registry.target("backbone", subject.component.name)(config)
    chosen = Choice("backbone", subject.component.name, config)
    make = partial(
        SmallModel, registry=registry, backend=subject.backend, trainer=trainer, backbone=chosen
    )
    found: list[SmallModel] = []
    for trial in _task_trials(registry, every):
        of_task = choice_of("task", trial, registry)
        task = registry.target("task", trial.type)(of_task.config)
        known = not every and task.needs in [model.needs for model in found]
        if not known and not list(misfits(chosen.type, backbone, trial.type, task)):
            texts = _with_texts(task, chosen, backbone)
            found.append(make(trial=trial, task=of_task, **texts))
    return found


def _task_trials(registry: Registry, every: bool) -> Iterator[Trial]:
    for entry in registry.of("task"):
        component = entry.component
        if not component.missing():
            trials = [Trial(component.name, name, keys) for name, keys in component.trials.items()]
            yield from trials if every else trials[:1]


def _with_texts(task: Task, backbone: Choice, made: Any) -> dict[str, Any]:
    """What a SmallModel has of texts."""
    reads = tuple(getattr(task, "reads", ()))
    room = task.context - ROOM - len(reads) * (FURTHER + 1)
    examples = _examples(labels_of(task), min(LONGEST, room), reads)
    masked = getattr(task, "hides", False)
    train = LettersFactory.train_masked if masked else LettersFactory.train
    tokenizer: Any = train(NoConfig(), LETTERS)
    facts = task.fit(examples, tokenizer)
    columns = task.encode(examples, tokenizer, facts, True)
    rows = ExampleRows(ColumnStore.of(columns))
    widest = int(rows.lengths.max()) - (1 if task.stream else 0)
    stated = task.batch_spec(facts, [{"batch": TEXTS, "time": widest}])
    spec = model_spec(backbone.type, backbone.config, made, task, facts, tokenizer, stated)
    recipe = Recipe(task, told(made, tokenizer), facts)
    return {"recipe": recipe, "tokenizer": tokenizer, "rows": rows, "spec": spec}


def _examples(labels: Labels, longest: int, reads: Sequence[str]) -> list[Example]:
    """Texts of 2 to `longest` letters, whose labels a small model can learn. reads: names of the
    further texts that each has besides, of up to FURTHER letters.
    """
    found = []
    for index in range(TEXTS):
        label = list(GROUPS)[index % len(GROUPS)]
        length = max(1, min(2 + index * 5 % (LONGEST - 1), longest))
        text = (GROUPS[label] * LONGEST)[index % 4 :][:length]
        by_kind = {
            "one": label,
            "several": (label, "long") if length > LONGEST // 2 else (label,),
            "number": str(len(text)),
            "answers": None,
        }
        extra = dict.fromkeys(reads, text[::-1][: 1 + index % FURTHER])
        if labels == "tags":
            found.append(_tagged(text, label))
        else:
            answer = {"text": text[-1], "start": len(text) - 1}
            meta = {"answers": json.dumps([answer])} if labels == "answers" else {}
            found.append(Example(text, by_kind[labels], extra=extra, meta=meta))
    return found


def _tagged(text: str, kind: str) -> Example:
    """The letters of a text in words of two and one by turns, the shorter ones with a tag."""
    words = [text[at : at + 2 - at % 3 // 2] for at in range(len(text)) if at % 3 != 1]
    given = " ".join(words)[: len(text)].rstrip()
    return Example(given, tuple("O" if len(word) > 1 else f"B-{kind}" for word in given.split(" ")))


@frozen
class Optimizer:
    """One of a backend's optimizers, with the keys of one of its trials."""

    trial: Trial
    choice: Choice

    def __str__(self) -> str:
        return str(self.trial)


def optimizers(registry: Registry, backend: str) -> list[Optimizer]:
    """Every trial of every optimizer that a backend builds, the default optimizer's first.

    Raises PluginError where it builds none.
    """
    built = registry.built_by(backend, "optimizer")
    names = [entry.component.name for entry in registry.of("optimizer")]
    found = []
    for name in sorted(names, key=lambda name: name != registry.default("optimizer")):
        component = registry.find("optimizer", name).component
        if name in built and not component.missing():
            for of, keys in component.trials.items():
                # The rate is the trainer's.
                own = {key: value for key, value in keys.items() if key != "learning_rate"}
                trial = Trial(name, of, own)
                found.append(Optimizer(trial, choice_of("optimizer", trial, registry)))
    if not found:
        raise PluginError(
            f"The backend {backend!r} builds no optimizer. Register a builder for one of "
            f"{', '.join(names)}."
        )
    return found


def trainer_config(trainer: Trainer, backbone: Any, **keys: Any) -> TrainerConfig:
    """On the CPU where there is one, in fp32, not compiled, on one thread where that can be had."""
    names = [device.name for device in trainer.devices()]
    given = {"precision": "fp32", "compile": False, "threads": 1, "gradient_clip": "off", **keys}
    config = TrainerConfig(device="cpu" if "cpu" in names else names[0], **given)
    try:
        trainer.resolve(config, backbone)
    except UsageError:
        # A framework may have as many for the rest of the process as it began with.
        config = evolve(config, threads="auto")
    settled = trainer.resolve(config, backbone)
    return evolve(config, **{name: value for name, (value, _) in settled.items()})


def with_dropout(subject: Subject) -> Subject:
    """A backbone that leaves out a share, with each of its keys that end in `dropout`; itself where
    it has none.
    """
    for one in fields(subject.component.config):
        if one.name.endswith("dropout"):
            tried = evolve(subject, keys={**subject.keys, one.name: DROPPED})
            with suppress(PluginError):  # Some modes have no use for some keys.
                _ = tried.config
                subject = tried
    return subject
