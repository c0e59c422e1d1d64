"""The built-in templates of `loomlm init`."""

from loomlm.plugin import Component, hookimpl

loomlm_api = (1, 1)


@hookimpl
def loomlm_templates() -> list[Component]:
    return [
        Component(
            kind="template",
            name="classification",
            summary="a label, or several, for each text",
            target="loomlm_templates.classification:classification",
        ),
        Component(
            kind="template",
            name="pretrain",
            summary="a language model from raw text",
            target="loomlm_templates.pretrain:pretrain",
        ),
        Component(
            kind="template",
            name="demo",
            summary="every step once, on Python's own documentation",
            target="loomlm_templates.demo:demo",
            default=True,
        ),
    ]
