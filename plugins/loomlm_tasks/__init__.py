"""The built-in tasks."""

from loomlm.plugin import Component, hookimpl
from loomlm_tasks.config import CausalLmConfig, ClassificationConfig


@hookimpl
def loomlm_tasks() -> list[Component]:
    return [
        Component(
            kind="task",
            name="classification",
            summary="one label, or several, for each text",
            target="loomlm_tasks.classification:Classification",
            config=ClassificationConfig,
        ),
        Component(
            kind="task",
            name="causal_lm",
            summary="language modelling: each token from those before it",
            target="loomlm_tasks.causal_lm:CausalLm",
            config=CausalLmConfig,
        ),
    ]
