"""Stands in for `loomlm.data.near` until that is there."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from loomlm.errors import UsageError


def near_duplicates(texts: Iterable[str], threshold: float = 0.8) -> NDArray[np.int64]:
    """For each text the row of the first one before it that it is a near copy of, or -1."""
    try:
        from datasketch import MinHash, MinHashLSH
    except ImportError:
        raise UsageError('Near copies need datasketch. pip install "loomlm[data]"') from None
    index = MinHashLSH(threshold=threshold, num_perm=128)
    found = []
    for row, text in enumerate(texts):
        words = text.lower().split()
        shingles = {" ".join(words[at : at + 3]) for at in range(max(len(words) - 2, 1))}
        hashed = MinHash(128)
        hashed.update_batch([shingle.encode("utf-8", "surrogatepass") for shingle in shingles])
        near = [int(str(other)) for other in index.query(hashed)] if words else []
        found.append(min(near, default=-1))
        if not near:
            index.insert(str(row), hashed)
    return np.array(found, np.int64)
