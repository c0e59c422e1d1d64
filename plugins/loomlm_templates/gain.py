"""Whether a closer fit pays, measured on a sample before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loomlm.plugin import Example

LOOSE, CLOSE = 1.0, 0.1
"""Two strengths of ridge regression's penalty."""

CHARACTERS = 2000
"""Of a text that are read, so that long ones cost no more than a second or two."""


def gain(examples: Sequence[Example]) -> float | None:
    """The share of a loose fit's error, on texts left out, that a closer fit takes away.

    Ridge regression on TF-IDF vectors of words and bigrams. Where labels are mostly noise to the
    words it is near 0 or below. Rare labels leave less to take away, though
    they stand as far apart: that is made up for. None where there is nothing to measure:
    fewer than two labels, or several a text.
    """
    names = [one.label for one in examples]
    found = sorted({name for name in names if isinstance(name, str)})
    if len(found) < 2 or not all(isinstance(name, str) for name in names):
        return None
    labels = np.array([[name == one for one in found] for name in names], float)
    labels -= labels.mean(axis=0)
    alike = _alike([one.text[:CHARACTERS] for one in examples])
    taken = 1 - _left_out(alike, labels, CLOSE) / _left_out(alike, labels, LOOSE)
    evenly = 1 - 1 / len(found)  # the variance if all labels were as frequent
    return taken * evenly / float(labels.var(axis=0).sum())


def _left_out(alike: np.ndarray, labels: np.ndarray, penalty: float) -> float:
    """Mean squared error of each text under the fit to all others (Allen's PRESS)."""
    inverse = np.linalg.inv(alike + penalty * np.eye(len(alike)))
    residuals = inverse @ labels / np.diag(inverse)[:, None]
    return float((residuals**2).sum() / len(alike))


def _alike(texts: list[str]) -> np.ndarray:
    """The products of all texts' TF-IDF vectors, (texts, texts), and 1 for the constant."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        token_pattern=r"\w+|[^\w\s]", ngram_range=(1, 2), sublinear_tf=True
    )
    try:
        vectors = vectorizer.fit_transform(texts)
    except ValueError:  # not a word in any text
        return np.ones((len(texts), len(texts)))
    return (vectors @ vectors.T).toarray() + 1
