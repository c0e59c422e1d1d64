"""The contracts between the core and a plugin's components.

Data classes are attrs; a contract is a protocol, so a plugin inherits from nothing. numpy is named
in annotations only: importing this module costs what importing attrs costs.

Terms used throughout: a *split* is a named part of a data set ("train", "validation", "test");
*facts* are what a task learnt from the training examples before training (its labels, say), a
JSON object that is saved with the model; a *microbatch* is the unit of accumulation and of
distribution; `weight` in a batch is what an item counts in the loss, 0 for padding.
"""

from loomlm.contracts.data import (
    Arrays,
    Cleaner,
    Columns,
    DataSource,
    DataSummary,
    Example,
    Facts,
    Ragged,
    TemplateContext,
    Tokenizer,
    TokenizerFactory,
)
from loomlm.contracts.events import (
    CheckpointSaved,
    Evaluated,
    Progress,
    RunEnded,
    RunStarted,
    StageEnded,
    StageStarted,
    StepsEnded,
)
from loomlm.contracts.models import (
    Backbone,
    BackboneContext,
    Batch,
    BatchField,
    BatchSpec,
    Constant,
    FitContext,
    Fitted,
    Head,
    Loss,
    ModelSpec,
    Normal,
    Parameter,
    Uniform,
)
from loomlm.contracts.tasks import (
    Generates,
    Likelihood,
    Metric,
    MetricContext,
    Outcome,
    Predicts,
    Task,
)
from loomlm.contracts.training import (
    Builder_,
    BuiltOptimizer,
    Cache,
    Device,
    Engine,
    StepContext,
    StepScalars,
    Trainer,
    UpdateContext,
)

__all__ = [
    "Arrays",
    "Backbone",
    "BackboneContext",
    "Batch",
    "BatchField",
    "BatchSpec",
    "Builder_",
    "BuiltOptimizer",
    "Cache",
    "CheckpointSaved",
    "Cleaner",
    "Columns",
    "Constant",
    "DataSource",
    "DataSummary",
    "Device",
    "Engine",
    "Evaluated",
    "Example",
    "Facts",
    "FitContext",
    "Fitted",
    "Generates",
    "Head",
    "Likelihood",
    "Loss",
    "Metric",
    "MetricContext",
    "ModelSpec",
    "Normal",
    "Outcome",
    "Parameter",
    "Predicts",
    "Progress",
    "Ragged",
    "RunEnded",
    "RunStarted",
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
    "Uniform",
    "UpdateContext",
]
