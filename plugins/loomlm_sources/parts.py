"""Rows of files that are read alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from loomlm_sources.forms import Row
from loomlm_sources.labelling import Label, Read
from loomlm_sources.lines import BadLine
from loomlm_sources.values import label_of


@frozen
class Part:
    """Rows that are read alike: of one file, or of lines with labels, of all files of a split.

    paths: all that is read. rows: each with the file that it is from. extra, meta: columns that
    its form has besides, as of an Example.
    """

    paths: tuple[Path, ...]
    rows: Iterable[tuple[Path, Row | BadLine]]
    texts: tuple[str, ...]
    label: Read | None
    extra: tuple[str, ...] = ()
    meta: tuple[str, ...] = ()


def line_label(values: Mapping[str, Any], text: str, place: str) -> Label | BadLine:
    """The label of a line that has one in a file beside its own."""
    return label_of(values["label"])
