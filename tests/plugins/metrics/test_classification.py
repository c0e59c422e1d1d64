"""What is particular to the scores of classes and label sets: averages, labels, mistakes.

What holds for every metric, and that they agree with scikit-learn, is checked in
`tests/conformance`.
"""

import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from loomlm.plugin import MetricContext, NoConfig, Outcome, UsageError
from loomlm_metrics import loomlm_metrics
from loomlm_metrics.classification import Accuracy, ConfusionMatrix, f1, precision, recall
from loomlm_metrics.config import AverageConfig

LABELS = ("Business", "Sci/Tech", "Sports", "World")
SCORES = {
    "precision": (precision, sklearn_metrics.precision_score),
    "recall": (recall, sklearn_metrics.recall_score),
    "f1": (f1, sklearn_metrics.f1_score),
}


def context(produces="classes", labels=LABELS):
    return MetricContext(labels=labels, produces=produces)


def stream(metric, references, predictions):
    """Feed a metric in two parts, and compute."""
    for part in (slice(0, 1), slice(1, None)):
        metric.update(Outcome(predictions[part], references[part]))
    return metric.compute()


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize(("produces", "shape"), [("classes", (50,)), ("label_sets", (50, 4))])
def test_every_average_of_every_score_equals_scikit_learn_s(name, average, produces, shape):
    random = np.random.default_rng(0)
    most = 4 if produces == "classes" else 2
    references, predictions = random.integers(0, most, shape), random.integers(0, most, shape)
    ours, theirs = SCORES[name]
    metric = ours(AverageConfig(average=average, per_class=True), context(produces))
    scores = stream(metric, references, predictions)
    assert scores[name] == pytest.approx(theirs(references, predictions, average=average))
    each = theirs(references, predictions, labels=range(4), average=None)
    assert [scores[f"{name}/{label}"] for label in LABELS] == pytest.approx(each.tolist())


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize(("positive", "pos_label"), [(None, 1), ("ham", 0), ("spam", 1)])
def test_binary_scores_the_positive_label(name, positive, pos_label):
    references, predictions = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0])
    ours, theirs = SCORES[name]
    config = AverageConfig(average="binary", positive=positive)
    scores = stream(ours(config, context(labels=("ham", "spam"))), references, predictions)
    expected = theirs(references, predictions, average="binary", pos_label=pos_label)
    assert scores == {name: pytest.approx(expected)}


def test_binary_of_label_sets_scores_the_label_s_column():
    references, predictions = np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]])
    config = AverageConfig(average="binary", positive="a")
    metric = recall(config, context("label_sets", ("a", "b")))
    assert stream(metric, references, predictions) == {"recall": 0.5}


def test_average_none_gives_the_labels_alone():
    metric = f1(AverageConfig(average="none"), context(labels=("a", "b")))
    scores = stream(metric, np.array([0, 1]), np.array([0, 1]))
    assert scores == {"f1/a": 1.0, "f1/b": 1.0}


def test_a_task_without_label_names_is_scored_by_number():
    metric = f1(AverageConfig(per_class=True), context(labels=()))
    scores = stream(metric, np.array([0, 2]), np.array([0, 2]))
    assert scores == {"f1": 1.0, "f1/0": 1.0, "f1/1": 0.0, "f1/2": 1.0}


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", "binary"])
@pytest.mark.parametrize("produces", ["classes", "label_sets"])
def test_without_examples_scores_are_zero(average, produces):
    metric = f1(AverageConfig(average=average, per_class=True), context(produces, ("a", "b")))
    assert metric.compute() == {"f1": 0.0, "f1/a": 0.0, "f1/b": 0.0}
    assert Accuracy(NoConfig(), context(produces)).compute() == {"accuracy": 0.0}


def test_an_empty_confusion_matrix_has_every_label():
    matrix = ConfusionMatrix(NoConfig(), context(labels=("a", "b"))).compute()
    assert matrix == {"confusion_matrix": [[0, 0], [0, 0]]}


def test_an_unknown_positive_label_is_named_with_the_nearest():
    with pytest.raises(UsageError, match=r"positive = 'spm'.*Did you mean 'spam'"):
        f1(AverageConfig(average="binary", positive="spm"), context(labels=("ham", "spam")))


def test_binary_without_labels_says_what_to_take():
    with pytest.raises(UsageError, match='average = "macro"'):
        f1(AverageConfig(average="binary"), context(labels=()))


def test_positive_without_binary_is_a_mistake():
    with pytest.raises(ValueError, match="positive"):
        AverageConfig(positive="spam")


OF_COUNTS = ("accuracy", "precision", "recall", "f1", "confusion_matrix")


def test_components_name_what_they_can_score():
    for component in loomlm_metrics():
        metric = component.load()(component.config(), context())
        if component.name not in OF_COUNTS:
            continue
        assert "classes" in metric.accepts
        assert metric.higher_is_better
        assert ("label_sets" in metric.accepts) == (component.name != "confusion_matrix")


def test_the_scores_of_classes_do_not_import_scikit_learn():
    # It takes a second, of each run.
    script = """
import sys
import numpy as np
from loomlm.plugin import MetricContext, Outcome
from loomlm.registry import Registry
registry = Registry.load()
for name in ("accuracy", "precision", "recall", "f1", "matthews", "confusion_matrix"):
    component = registry.find("metric", name).component
    context = MetricContext(labels=("a", "b"), produces="classes")
    metric = component.load()(component.config(), context)
    metric.update(Outcome(np.array([0, 1]), np.array([0, 0])))
    assert metric.compute(), name
assert "sklearn" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
