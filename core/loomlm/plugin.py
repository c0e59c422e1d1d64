"""The plugin author's API: everything that a plugin may use of loomlm, on one page.

A plugin is a module with functions marked `@hookimpl`, named as the hooks in
`loomlm.hookspecs`, and an entry point in the group `loomlm`. See `docs/write-a-plugin.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from loomlm.components import KINDS, PLUGIN_API, Builder, Component, NoConfig
from loomlm.config.settings import Choice, TrainerConfig, key
from loomlm.contracts import (
    Arrays,
    Backbone,
    BackboneContext,
    Batch,
    BatchField,
    BatchSpec,
    BuiltOptimizer,
    CheckpointSaved,
    Cleaner,
    Columns,
    Constant,
    DataSource,
    DataSummary,
    Device,
    Dropped,
    Engine,
    Evaluated,
    Example,
    ExampleCleaner,
    Facts,
    Fills,
    FitContext,
    Fitted,
    Generates,
    Head,
    Joins,
    Likelihood,
    Locates,
    Loss,
    Metric,
    MetricContext,
    ModelSpec,
    Normal,
    Outcome,
    Parameter,
    Predicts,
    Progress,
    Ragged,
    RunEnded,
    RunStarted,
    ShardedSource,
    StageEnded,
    StageStarted,
    StepContext,
    StepScalars,
    StepsEnded,
    Task,
    Team,
    TemplateContext,
    Tokenizer,
    TokenizerFactory,
    Trainer,
    Uniform,
    UpdateContext,
    Writes,
)
from loomlm.data.vocabularies import target_of
from loomlm.deprecations import name_of
from loomlm.errors import (
    ConfigError,
    DataError,
    LoomlmError,
    PluginError,
    Problem,
    UsageError,
    did_you_mean,
    nearest,
)
from loomlm.hookspecs import hookimpl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "KINDS",
    "PLUGIN_API",
    "Arrays",
    "Backbone",
    "BackboneContext",
    "Batch",
    "BatchField",
    "BatchSpec",
    "Builder",
    "BuiltOptimizer",
    "CheckpointSaved",
    "Choice",
    "Cleaner",
    "Columns",
    "Component",
    "ConfigError",
    "Constant",
    "DataError",
    "DataSource",
    "DataSummary",
    "Device",
    "Dropped",
    "Engine",
    "Evaluated",
    "Example",
    "ExampleCleaner",
    "Facts",
    "Fills",
    "FitContext",
    "Fitted",
    "Generates",
    "Head",
    "Joins",
    "Likelihood",
    "Locates",
    "LoomlmError",
    "Loss",
    "Metric",
    "MetricContext",
    "ModelSpec",
    "NoConfig",
    "Normal",
    "Outcome",
    "Parameter",
    "PluginError",
    "Predicts",
    "Problem",
    "Progress",
    "Ragged",
    "RunEnded",
    "RunStarted",
    "ShardedSource",
    "StageEnded",
    "StageStarted",
    "StepContext",
    "StepScalars",
    "StepsEnded",
    "Task",
    "Team",
    "TemplateContext",
    "Tokenizer",
    "TokenizerFactory",
    "Trainer",
    "TrainerConfig",
    "Uniform",
    "UpdateContext",
    "UsageError",
    "Writes",
    "did_you_mean",
    "entities",
    "hookimpl",
    "key",
    "near_duplicates",
    "nearest",
    "target_of",
    "uniforms",
]


def __getattr__(name: str) -> Any:
    return name_of(__name__, name)


def near_duplicates(
    texts: Iterable[str],
    threshold: float = 0.8,
    *,
    words: int = 3,
    permutations: int = 128,
    kept: int = 0,
) -> NDArray[np.int64]:
    """For each text the row of the first one before it that it is a near copy of, or -1.

    Two texts are near copies where the Jaccard similarity of their sets of shingles (runs of
    `words` words, without case and punctuation; all words of a text that has fewer) is at least the
    threshold. A text that is a near copy itself counts no more, so that what is named is never left
    out itself, and a row depends on none behind it. The first `kept` texts are copies of none: to
    find those of one split that stand in another. A text without words is no copy.

    What is named is true, since similarities are counted; a copy right at the threshold is
    overlooked about once in a hundred times, one of 0.9 hardly ever.

    texts: read twice, so not an iterator. Memory: 4 bytes for each text and band (21 bands at the
    defaults), twice that for a moment; 8 bytes for each word of those texts that share a band with
    another and are kept; and some 80 MB however many there are.

    Returns (texts,) int64. Raises UsageError without the library.
    """
    # numpy, which listing plugins does without, is imported where it is wanted.
    from loomlm.data import near

    return near.near_duplicates(texts, threshold, words=words, permutations=permutations, kept=kept)


def entities(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """The entities that the tags of words make: type, first word, and the one behind the last.

    Tags are B-TYPE and I-TYPE, with E-TYPE and S-TYPE too, and O for none; a tag without such a
    letter is inside its own type. Read as conlleval and seqeval's default mode read them: an entity
    also begins with I or E, where none of its type goes on.
    """
    from loomlm.data import tags as of_words

    return of_words.entities(tags)


def uniforms(keys: NDArray[np.uint64], count: int) -> NDArray[np.float64]:
    """Numbers in [0, 1), (n, count), by the keys alone, (n,), as `vary` of a task is given them."""
    from loomlm.data import orders

    return orders.uniforms(keys, count)
