"""A data source for Loomlm: what is registered, and its keys.

The entry point in `pyproject.toml` has this module imported whenever `loomlm` starts.
So it holds records and config classes, and imports no framework and no numpy. What a
record's `target` names is imported when a run needs it.
"""

from pathlib import Path

from attrs import frozen
from loomlm.plugin import Component, hookimpl, key

loomlm_api = (1, 1)
"""The first and the last version of the plugin API that this plugin works with."""


@frozen
class MarkdownConfig:
    """The keys of a stage's `data`, beside Loomlm's own `type`, `split` and `clean`.

    Types and bounds are strict; a path is taken from the config's folder.
    """

    train: Path = key("the folder of the training documents")
    validation: Path | None = key("the folder of the validation documents", None)
    test: Path | None = key("the folder of the test documents", None)
    pattern: str = key("which files of a folder are documents", "**/*.md")
    labels: bool = key("a document's label is the subfolder that it is in", False)
    front_matter: bool = key("keep what stands between `---` lines at the top", False)


@hookimpl
def loomlm_data_sources() -> list[Component]:
    return [
        Component(
            kind="data_source",
            name="plugin_component",
            summary="plugin-summary",
            target="plugin_package.source:Markdown",
            config=MarkdownConfig,
        )
    ]
