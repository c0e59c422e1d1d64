"""An example of a plugin: what it adds to Loomlm stands on this page.

The entry point in `pyproject.toml` loads this module whenever `loomlm` starts, so it imports
records and config classes only. A component's `target` is imported when a run needs it.
"""

from loomlm.plugin import Builder, Component, hookimpl
from loomlm_example.config import GatedMeanConfig, SqliteConfig, WhitespaceConfig

loomlm_api = (1, 1)
"""The plugin API that this plugin works with, first and last: another one does not load it."""


@hookimpl
def loomlm_tokenizers() -> list[Component]:
    return [
        Component(
            kind="tokenizer",
            name="whitespace",
            summary="the most frequent words, parted by white space",
            target="loomlm_example.tokenizer:WhitespaceFactory",
            config=WhitespaceConfig,
        )
    ]


@hookimpl
def loomlm_backbones() -> list[Component]:
    return [
        Component(
            kind="backbone",
            name="gated_mean",
            summary="mean of embeddings, each number through a learnt gate",
            target="loomlm_example.backbone:GatedMean",
            config=GatedMeanConfig,
        )
    ]


@hookimpl
def loomlm_builders() -> list[Builder]:
    """The module for each backend; a backend without one refuses the backbone."""
    return [
        Builder(
            kind="backbone",
            name="gated_mean",
            backend=backend,
            target=f"loomlm_example.{backend}_modules:GatedMean",
        )
        for backend in ("torch", "tensorflow")
    ]


@hookimpl
def loomlm_metrics() -> list[Component]:
    return [
        Component(
            kind="metric",
            name="phi",
            summary="Matthews correlation of predictions and references, -1 to 1",
            target="loomlm_example.metric:Matthews",
        )
    ]


@hookimpl
def loomlm_data_sources() -> list[Component]:
    return [
        Component(
            kind="data_source",
            name="sqlite",
            summary="tables of an SQLite file, one a split",
            target="loomlm_example.source:Sqlite",
            config=SqliteConfig,
        )
    ]
