"""The built-in metrics hold to what every metric promises, and agree with scikit-learn."""

from __future__ import annotations

from functools import partial
from itertools import zip_longest
from math import exp, log
from typing import Any

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from scipy import stats
from sklearn import metrics

from loomlm.plugin import Likelihood, Outcome

from .covered import left_out

LABELS = ("Business", "Sci/Tech", "Sports", "World")


def accuracy(outcome: Outcome) -> float:
    return metrics.accuracy_score(outcome.references, outcome.predictions)


def confusion_matrix(outcome: Outcome) -> list[list[int]]:
    found = metrics.confusion_matrix(outcome.references, outcome.predictions, labels=range(4))
    return found.tolist()


def average_of(name: str, average: str, outcome: Outcome) -> float:
    score = getattr(metrics, f"{name}_score")
    found = score(outcome.references, outcome.predictions, average=average, zero_division=0)
    return float(found)


def with_labels(name: str, outcome: Outcome) -> dict[str, Any]:
    """The average, and each label's score."""
    each = getattr(metrics, f"{name}_score")(
        outcome.references, outcome.predictions, labels=range(4), average=None, zero_division=0
    )
    scores = {f"{name}/{label}": found for label, found in zip(LABELS, each.tolist(), strict=True)}
    return {name: average_of(name, "macro", outcome), **scores}


def binary(name: str, outcome: Outcome) -> float:
    """Of the label "ham", the first of two."""
    right, given = outcome.references, outcome.predictions
    if right.ndim == 2:
        right, given = right[:, 0], given[:, 0]
    else:
        right, given = right == 0, given == 0
    return getattr(metrics, f"{name}_score")(right, given, zero_division=0)


def perplexity(likelihood: Likelihood) -> float:
    return exp(likelihood.loss / likelihood.tokens)


def bits_per_byte(likelihood: Likelihood) -> float:
    return likelihood.loss / log(2) / likelihood.bytes


@pytest.mark.loomlm("metric:accuracy", reference=accuracy)
def test_accuracy(conformance):
    conformance()


@pytest.mark.loomlm("metric:confusion_matrix", reference=confusion_matrix)
def test_confusion_matrix(conformance):
    conformance()


@pytest.mark.loomlm("metric:precision", reference=partial(average_of, "precision", "macro"))
def test_precision(conformance):
    conformance()


@pytest.mark.loomlm("metric:recall", reference=partial(average_of, "recall", "macro"))
def test_recall(conformance):
    conformance()


@pytest.mark.loomlm("metric:f1", keys={"per_class": True}, reference=partial(with_labels, "f1"))
def test_f1_and_each_label_s(conformance):
    conformance()


def averages(average: str) -> pytest.MarkDecorator:
    """The three scores share what makes one of the labels' scores."""
    return pytest.mark.loomlm(
        "metric:f1", keys={"average": average}, reference=partial(average_of, "f1", average)
    )


@averages("micro")
def test_micro(conformance):
    conformance()


@averages("weighted")
def test_weighted(conformance):
    conformance()


@pytest.mark.loomlm(
    "metric:recall",
    keys={"average": "binary", "positive": "ham"},
    labels=("ham", "spam"),
    reference=partial(binary, "recall"),
)
def test_binary(conformance):
    conformance()


def matthews(outcome: Outcome) -> float:
    return metrics.matthews_corrcoef(outcome.references, outcome.predictions)


def roc_auc(outcome: Outcome) -> dict[str, float]:
    """By scikit-learn's own average, where every label has an area."""
    right = outcome.references
    if right.ndim == 1:
        right = right[:, None] == np.arange(len(LABELS))
    if not (right.any(axis=0) & ~right.all(axis=0)).all():
        return {}
    return {"roc_auc": metrics.roc_auc_score(right, outcome.scores, average="macro")}


def roc_auc_of_two(outcome: Outcome) -> dict[str, float]:
    if outcome.references.ndim == 2 or len(set(outcome.references)) < 2:
        return {}
    assert outcome.scores is not None
    return {"roc_auc": metrics.roc_auc_score(outcome.references, outcome.scores[:, 1])}


def calibration(outcome: Outcome) -> float:
    """Guo 2017, equation 3, bin by bin."""
    assert outcome.scores is not None
    sure = outcome.scores.max(axis=1)
    total = 0.0
    for low in range(15):
        inside = (sure > low / 15) & (sure <= (low + 1) / 15)
        if inside.any():
            right = outcome.predictions[inside] == outcome.references[inside]
            total += inside.mean() * abs(right.mean() - sure[inside].mean())
    return total


@pytest.mark.loomlm("metric:matthews", reference=matthews)
def test_matthews(conformance):
    conformance()


@pytest.mark.loomlm("metric:roc_auc", reference=roc_auc)
def test_roc_auc(conformance):
    conformance()


@pytest.mark.loomlm("metric:roc_auc", labels=("ham", "spam"), reference=roc_auc_of_two)
def test_roc_auc_of_two(conformance):
    conformance()


@pytest.mark.loomlm("metric:expected_calibration_error", reference=calibration)
def test_calibration(conformance):
    conformance()


@pytest.mark.loomlm(
    "metric:mean_squared_error",
    reference=lambda o: metrics.mean_squared_error(o.references, o.predictions),
)
def test_mean_squared_error(conformance):
    conformance()


@pytest.mark.loomlm(
    "metric:mean_absolute_error",
    reference=lambda o: metrics.mean_absolute_error(o.references, o.predictions),
)
def test_mean_absolute_error(conformance):
    conformance()


def correlation(correlate: Any, outcome: Outcome) -> float:
    if not (np.ptp(outcome.references) and np.ptp(outcome.predictions)):
        return 0.0
    return correlate(outcome.references, outcome.predictions).statistic


@pytest.mark.loomlm("metric:pearson", reference=partial(correlation, stats.pearsonr))
def test_pearson(conformance):
    conformance()


@pytest.mark.loomlm("metric:spearman", reference=partial(correlation, stats.spearmanr))
def test_spearman(conformance):
    conformance()


@pytest.mark.loomlm("metric:perplexity", reference=perplexity)
def test_perplexity(conformance):
    conformance()


@pytest.mark.loomlm("metric:pseudo_perplexity", reference=perplexity)
def test_pseudo_perplexity(conformance):
    conformance()


@pytest.mark.loomlm("metric:word_perplexity", reference=lambda one: exp(one.loss / one.words))
def test_word_perplexity(conformance):
    conformance()


@pytest.mark.loomlm("metric:bits_per_byte", reference=bits_per_byte)
def test_bits_per_byte(conformance):
    conformance()


def bleu(outcome: Outcome) -> float:
    return corpus_score(BLEU(), outcome)


def chrf(outcome: Outcome) -> float:
    return corpus_score(CHRF(word_order=2), outcome)


def corpus_score(metric: Any, outcome: Outcome) -> float:
    """What sacrebleu says of all texts at once."""
    right = zip_longest(*[one or [""] for one in outcome.references])
    return metric.corpus_score(list(outcome.predictions), list(right)).score


TAGS = ("O", "B-PER", "I-PER", "B-LOC")


@pytest.mark.loomlm("metric:entity_f1", labels=TAGS)
def test_entity_f1(conformance):
    conformance()


@pytest.mark.loomlm("metric:tag_accuracy", labels=TAGS)
def test_tag_accuracy(conformance):
    conformance()


@pytest.mark.loomlm("metric:bleu", reference=bleu)
def test_bleu(conformance):
    conformance()


@pytest.mark.loomlm("metric:chrf", keys={"word_order": 2}, reference=chrf)
def test_chrf(conformance):
    conformance()


@pytest.mark.loomlm("metric:rouge")
def test_rouge(conformance):
    conformance()


@pytest.mark.loomlm("metric:exact_match")
def test_exact_match(conformance):
    conformance()


@pytest.mark.loomlm("metric:squad_f1")
def test_squad_f1(conformance):
    conformance()


def test_none_is_left_out():
    assert not left_out("metric", globals())
