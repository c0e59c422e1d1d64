"""The built-in tasks."""

from loomlm.plugin import Component, hookimpl
from loomlm_tasks.config import ClassificationConfig


@hookimpl
def loomlm_tasks() -> list[Component]:
    return [
        Component(
            kind="task",
            name="classification",
            summary="one label, or several, for each text",
            target="loomlm_tasks.classification:Classification",
            config=ClassificationConfig,
        )
    ]
