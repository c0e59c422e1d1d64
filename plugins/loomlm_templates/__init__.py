"""The built-in templates of `loomlm init`."""

from loomlm.plugin import Component, hookimpl


@hookimpl
def loomlm_templates() -> list[Component]:
    return [
        Component(
            kind="template",
            name="classification",
            summary="a label, or several, for each text",
            target="loomlm_templates.classification:classification",
        )
    ]
