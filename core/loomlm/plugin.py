"""The plugin author's API: everything that a plugin may use of loomlm, on one page.

A plugin is a module with functions marked `@hookimpl`, named as the hooks in
`loomlm.hookspecs`, and an entry point in the group `loomlm`. See `docs/write-a-plugin.md`.
"""

from importlib import import_module
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
    FitContext,
    Fitted,
    Generates,
    Head,
    Likelihood,
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
    TemplateContext,
    Tokenizer,
    TokenizerFactory,
    Trainer,
    Uniform,
    UpdateContext,
)
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
    from loomlm.data.near import near_duplicates

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
    "FitContext",
    "Fitted",
    "Generates",
    "Head",
    "Likelihood",
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
    "TemplateContext",
    "Tokenizer",
    "TokenizerFactory",
    "Trainer",
    "TrainerConfig",
    "Uniform",
    "UpdateContext",
    "UsageError",
    "did_you_mean",
    "hookimpl",
    "key",
    "near_duplicates",
    "nearest",
]

_HOMES = {"near_duplicates": "loomlm.data.near"}
"""What is imported on first use, since it imports numpy."""


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    return name_of(__name__, name)
