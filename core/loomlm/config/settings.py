"""The attrs classes of a run's config. Import nothing heavy here: `--help` may not need it, but
listing plugins does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from attrs import NOTHING, Factory, field, frozen, validators

from loomlm.errors import UsageError

Auto = Literal["auto"]

BATCH_SIZE = 32
"""Of a trainer that says neither `batch_size` nor `batch_tokens`."""

SCRATCH = "scratch"
"""What `init_from` says of a stage that begins with initial weights."""


def key(
    doc: str,
    default: Any = NOTHING,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
) -> Any:
    """A config key: `attrs.field` with a line of documentation and bounds.

    Bounds are checked when a config is read, and stand in the JSON Schema; of a list they are those
    of each item. A default that is a callable is called. Values that are not numbers ("auto", None)
    pass the bounds. What else a value must be, an attrs validator says, by a ValueError or a
    UsageError: its message is told with the key and its line.
    """
    checks = [
        _numbers_only(check(bound))
        for check, bound in (
            (validators.ge, minimum),
            (validators.gt, above),
            (validators.le, maximum),
        )
        if bound is not None
    ]
    metadata = {"doc": doc, "minimum": minimum, "above": above, "maximum": maximum}
    if callable(default):
        default = Factory(default)
    return field(default=default, validator=checks or None, metadata=metadata)


def _numbers_only(check: Any) -> Any:
    def checked(instance: Any, attribute: Any, value: Any) -> None:
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, int | float) and not isinstance(item, bool):
                check(instance, attribute, item)

    return checked


@frozen
class Choice:
    """A component picked in a config: its kind, its type as written, its own config.

    target: of a tokenizer alone, the second one, of texts that are to be written; None: one is for
        all texts.
    """

    kind: str
    type: str
    config: Any
    target: Choice | None = None


TokenizerChoice = Annotated[Choice, "tokenizer"]
BackboneChoice = Annotated[Choice, "backbone"]
TaskChoice = Annotated[Choice, "task"]
MetricChoice = Annotated[Choice, "metric"]
SourceChoice = Annotated[Choice, "data_source"]
CleanerChoice = Annotated[Choice, "cleaner"]
OptimizerChoice = Annotated[Choice, "optimizer"]
ScheduleChoice = Annotated[Choice, "schedule"]
ObserverChoice = Annotated[Choice, "observer"]
ExtensionChoice = Annotated[Choice, "extension"]


@frozen
class EarlyStopping:
    """Stop when a validation score has not improved for some evaluations."""

    patience: int = key("evaluations without improvement before training stops", 3, minimum=1)
    metric: str = key("the validation score to watch: `loss` or a metric's name", "loss")


@frozen
class TrainerConfig:
    """How to train, the same for every backend."""

    steps: int | None = key("number of updates; give this or `epochs`", None, minimum=1)
    epochs: float | None = key("passes over the training data", None, above=0)
    batch_tokens: int | None = key(
        "tokens of one update, padding included, in place of `batch_size`: rows of like length, as "
        "many as fit, a multiple of `accumulate`",
        None,
        minimum=1,
    )
    batch_size: int | Auto | None = key(
        "examples of one update; 32 without `batch_tokens`; auto: the most that fit into the "
        "device's memory, on a CPU at most 32",
        Factory(lambda self: BATCH_SIZE if self.batch_tokens is None else None, takes_self=True),
        minimum=1,
    )
    accumulate: int = key("microbatches that a batch is cut into, to save memory", 1, minimum=1)
    evaluation_batch_size: int = key("examples of a batch in evaluation", 256, minimum=1)
    learning_rate: float = key("the peak learning rate", 1e-3, above=0)
    optimizer: OptimizerChoice = key("the update rule", None)
    schedule: ScheduleChoice = key("how the learning rate changes", None)
    gradient_clip: float | Literal["off"] = key(
        "the largest global norm of a gradient", 1.0, above=0
    )
    freeze: tuple[str, ...] = key(
        "parameters that are not trained, by patterns of their names, such as "
        "backbone.embedding.*; `loomlm explain` lists the names",
        (),
    )
    layer_decay: float | None = key(
        "what the learning rate is multiplied by for each layer further from the head; embeddings "
        "learn slowest (Howard 2018)",
        None,
        above=0,
        maximum=1,
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = key(
        "arithmetic of the model; auto: bf16 where this machine gains by it, else fp32", "auto"
    )
    compile: bool | Auto = key("compile the model's step first; part of the world, too", "auto")
    device: str = key("auto, or a device of the backend: cpu, cuda, cuda:1, mps", "auto")
    determinism: Literal["exact", "fast"] = key(
        "exact: the same config gives the same bits; fast: kernels that may not", "exact"
    )
    threads: int | Auto = key("CPU threads; part of a run's reproducible world", "auto", minimum=1)
    evaluate_every: int | Literal["auto", "never"] = key(
        "steps between evaluations of the validation split; auto: once an epoch", "auto", minimum=1
    )
    checkpoint_every: int | Literal["auto", "never"] = key(
        "steps between checkpoints; auto: every five minutes",
        "auto",
        minimum=1,
    )
    keep_last: int = key("how many of the newest checkpoints stay", 2, minimum=1)
    keep_every: int | None = key(
        "steps between checkpoints that stay for good, besides the newest", None, minimum=1
    )
    keep_best: str | None = key(
        "end with the checkpoint that is best by this validation score: `loss` or a metric", None
    )
    ema: float | None = key(
        "decay of a moving average of the weights, such as 0.999, which is then what is evaluated "
        "and saved; the first steps go by (1 + step) / (10 + step) where that is less",
        None,
        above=0,
        maximum=0.999999,
    )
    average: int | None = key(
        "end with the mean of the weights of so many last checkpoints of `checkpoint_every`",
        None,
        minimum=2,
    )
    average_from: int | None = key(
        "end with the mean of the weights of the checkpoints from this step on", None, minimum=1
    )
    word_dropout: float = key(
        "share of the tokens that are replaced while training, anew each time: by the unknown "
        "token, or, where the vocabulary has none, by any other",
        0.0,
        minimum=0,
        maximum=0.9,
    )
    early_stopping: EarlyStopping | None = key("when to stop before the last step", None)
    log_every: int = key("steps between lines of metrics.jsonl", 1, minimum=1)
    non_finite: Literal["stop", "skip", "rollback"] = key(
        "where a loss or gradient is not finite, which never reaches the weights: stop; skip that "
        "update alone; rollback to the checkpoint before it and go on behind it, without the "
        "batches since then",
        "stop",
    )
    max_skips: int = key("how often a stage may skip or roll back before it stops", 10, minimum=1)

    @property
    def averages(self) -> bool:
        """Whether a stage ends with the mean of checkpoints."""
        return self.average is not None or self.average_from is not None

    def ema_at(self, step: int) -> float:
        """The decay of the moving average at an update, counted from 1."""
        assert self.ema is not None
        return min(self.ema, (1 + step) / (10 + step))


@frozen
class SplitConfig:
    """How to cut a missing validation or test split off the training data."""

    validation: float | None = key("share for validation, of the whole", None, above=0, maximum=0.9)
    test: float | None = key("share for the test split, of the whole", None, above=0, maximum=0.9)
    by: Literal["random", "position", "hash"] = key(
        "random (with `seed`), position (the last part of each source, test behind validation), "
        "hash (of the text; stable as data grows)",
        "random",
    )
    seed: int | None = key(
        "seed of a random cut; the run's seed where none is given", None, minimum=0
    )
    folds: int | None = key(
        "parts that the training data is cut into, of which one is for validation: `loomlm run "
        "--folds` sets it",
        None,
        minimum=2,
    )
    fold: int | None = key("which of the parts, from 1 on", None, minimum=1)
    stratify: bool = key("keep the shares of the labels in a random cut", True)


@frozen
class PartConfig:
    """One of several sources; the source's own keys stand in the same table."""

    source: SourceChoice = key("which source; its own keys stand in the same table", None)
    weight: float | None = key(
        "its share of the training data, beside the other sources' weights; by default its size",
        None,
        above=0,
    )
    clean: tuple[CleanerChoice, ...] = key("cleaning steps of this source alone, in order", ())


@frozen
class DataConfig:
    """Where examples come from, and what happens to them before the tokenizer."""

    source: SourceChoice = key("which source; its own keys stand in the same table", None)
    sources: tuple[PartConfig, ...] = key("several sources, instead of one", ())
    split: SplitConfig = key("how to cut missing splits", SplitConfig)
    clean: tuple[CleanerChoice, ...] = key("cleaning steps, in order", ())
    streaming: bool = key("read the training split while training, and keep none of it", False)
    shuffle_window: int = key("examples of a stream that are shuffled together", 10_000, minimum=1)

    @property
    def parts(self) -> tuple[PartConfig, ...]:
        """The sources, one or several; those that stand alone have no cleaning of their own."""
        return self.sources or (PartConfig(self.source),)


@frozen
class StageConfig:
    """One stage of a run: a task, its data, and how to train on it."""

    name: str = key("the stage's name: lower case letters, digits, - and _")
    task: TaskChoice = key("what to learn")
    data: DataConfig = key("the examples")
    trainer: TrainerConfig = key("how to train; missing keys come from [trainer]", TrainerConfig)
    init_from: str = key(
        "where weights come from: scratch, an earlier stage, a run's folder, or a model's", SCRATCH
    )
    metrics: tuple[MetricChoice, ...] | None = key("scores; by default the task's", None)
    extensions: tuple[ExtensionChoice, ...] = key(
        "what changes examples, batches or the model; the first is outermost", ()
    )


@frozen
class SearchRange:
    """Which values of a key `loomlm sweep` tries: from `low` to `high`, or one of `choices`."""

    low: int | float | None = key("the least", None)
    high: int | float | None = key("the most", None)
    step: int | float | None = key("between two of them", None, above=0)
    log: bool = key("as many between 0.001 and 0.01 as between 0.01 and 0.1", False)
    choices: tuple[Any, ...] = key("the values, in place of a range", ())

    def __attrs_post_init__(self) -> None:
        ends = [end for end in (self.low, self.high, self.step) if end is not None]
        if self.choices:
            if ends or self.log:
                raise UsageError("`choices` stand in place of a range: give one of both")
            return
        if self.low is None or self.high is None:
            raise UsageError("a range has `low` and `high`; give both, or `choices`")
        if self.low >= self.high:
            raise UsageError(f"`low` is {self.low}, and is to be less than `high`, {self.high}")
        if self.log and self.low <= 0:
            raise UsageError(f"`log` wants a `low` above 0, not {self.low}")
        if self.log and self.step is not None:
            raise UsageError("`log` and `step` do not go together")


@frozen
class SweepConfig:
    """What `loomlm sweep` tries; `loomlm run` does not look at it."""

    search: Mapping[str, SearchRange] = key(
        'keys as `--set` takes them, in quotes, with their ranges: "trainer.learning_rate"', dict
    )
    trials: int = key("how many settings are tried", 20, minimum=1)
    metric: str | None = key(
        "the validation score of the last stage that is to be best: `loss` or a metric; by default "
        "that of keep_best, or the stage's first metric",
        None,
    )
    direction: Literal["auto", "minimize", "maximize"] = key(
        "whether less or more of it is better; auto: as the metric says", "auto"
    )
    sampler: Literal["tpe", "random"] = key(
        "tpe: near what was good so far (Bergstra 2011); random: anywhere", "tpe"
    )
    prune: bool = key("stop a trial that is worse than half of the others were by then", True)


@frozen
class PluginsConfig:
    """Which plugins are imported, by name: of the plugin, its module or its distribution."""

    load: tuple[str, ...] = key("modules, or .py files beside the config, to load besides", ())
    block: tuple[str, ...] = key("plugins not to import", ())
    allow: tuple[str, ...] | None = key(
        "the only installed plugins to import besides the built-in ones; all by default", None
    )
    order: tuple[str, ...] = key("plugins that come first, in this order", ())


@frozen
class RunConfig:
    """A whole run, as one config file describes it."""

    name: str = key("the run's name, and its folder under --runs")
    tokenizer: TokenizerChoice = key(
        "text to ids; trained on the first stage's training text. `target` in its table is a "
        "second one, for the texts that are to be written; without, one is for both"
    )
    backbone: BackboneChoice = key("the model's body")
    stages: tuple[StageConfig, ...] = key("what happens, in order")
    seed: int = key("every random number of the run comes from it", 17, minimum=0)
    backend: str = key("the trainer: a backend's name; auto where only one can be used", "auto")
    backends: Mapping[str, Any] = key("keys that only one backend knows: [backends.NAME]", dict)
    observers: tuple[ObserverChoice, ...] = key("who else watches the run", ())
    sweep: SweepConfig | None = key("what `loomlm sweep` tries", None)
    plugins: PluginsConfig = key("which plugins are imported; a list is `load`", PluginsConfig)
    required_plugins: tuple[str, ...] = key(
        "distributions that must be there, such as loomlm-foo>=1.2", ()
    )
