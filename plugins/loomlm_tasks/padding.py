"""Rows of unequal length as one padded array."""

from __future__ import annotations

import numpy as np

from loomlm.plugin import Ragged


def padded(rows: Ragged, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """(height, width) int32 tokens and (height,) int32 lengths; what is empty is 0."""
    lengths = np.zeros(height, np.int32)
    lengths[: len(rows)] = np.diff(rows.offsets)
    tokens = np.zeros((height, width), np.int32)
    tokens[np.arange(width) < lengths[:, None]] = rows.values
    return tokens, lengths
