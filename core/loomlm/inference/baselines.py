"""What a classifier has to beat: the majority class, and TF-IDF with logistic regression."""

from __future__ import annotations

import time
from collections import Counter

from attrs import frozen

from loomlm.data.examples import Split

INVERSE_REGULARISATION = 10.0


@frozen
class Baseline:
    """A baseline's scores on the test split: accuracy, F1 as the mean over labels, and seconds."""

    name: str
    accuracy: float
    f1: float
    seconds: float


def baselines(train: Split, test: Split) -> list[Baseline]:
    """Both baselines, for texts with one label each."""
    return [
        _scored("majority class", _majority, train, test),
        _scored("TF-IDF, logistic regression", _tfidf, train, test),
    ]


def _scored(name: str, predict: object, train: Split, test: Split) -> Baseline:
    from sklearn.metrics import accuracy_score, f1_score

    assert callable(predict)
    started = time.perf_counter()
    found, right = predict(train, test), test.labels()
    seconds = time.perf_counter() - started
    # scikit-learn takes a number for zero_division, and says that it takes words alone.
    f1 = f1_score(right, found, average="macro", zero_division=0.0)  # type: ignore[arg-type]
    return Baseline(name, float(accuracy_score(right, found)), float(f1), seconds)


def _majority(train: Split, test: Split) -> list[str]:
    (label, _), *_ = Counter(train.labels()).most_common(1)
    return [label] * len(test)


def _tfidf(train: Split, test: Split) -> list[str]:
    """Words and pairs of words, counts damped by a logarithm."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=1000)
    model.fit(vectorizer.fit_transform(train.texts()), train.labels())
    return list(model.predict(vectorizer.transform(test.texts())))
