"""The built-in data sources: files, data sets of the Hugging Face hub, Python's documentation."""

from loomlm.plugin import Component, hookimpl
from loomlm_sources.config import FilesConfig, HuggingFaceConfig, PythonDocsConfig

loomlm_api = (1, 1)


@hookimpl
def loomlm_data_sources() -> list[Component]:
    return [
        Component(
            kind="data_source",
            name="files",
            summary="txt, csv, tsv, jsonl, parquet, CoNLL and SQuAD files, also compressed; globs",
            target="loomlm_sources.files:Files",
            config=FilesConfig,
            default=True,
        ),
        Component(
            kind="data_source",
            name="huggingface",
            summary="a data set of the Hugging Face hub, or a local one in its form",
            target="loomlm_sources.huggingface:HuggingFace",
            config=HuggingFaceConfig,
            requires=("datasets",),
            install='pip install "loomlm[huggingface]"',
        ),
        Component(
            kind="data_source",
            name="python_docs",
            summary="Python's own documentation: no download",
            target="loomlm_sources.python_docs:PythonDocs",
            config=PythonDocsConfig,
        ),
    ]
