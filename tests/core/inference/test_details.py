"""What an evaluation says of a classifier besides its scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

import loomlm
from loomlm.contracts import MetricContext, Outcome
from loomlm.inference.details import Details
from loomlm.registry import Registry

LABELS = ("a", "b", "c")
REGISTRY = Registry.load()


def metric(name: str, produces: str = "classes", **keys):
    component = REGISTRY.find("metric", name).component
    context = MetricContext(labels=LABELS, produces=produces)
    return component.load()(component.config(**keys), context)


class Texts:
    """A split without a text in it: mistakes are tried in whole runs."""

    def __len__(self) -> int:
        return 0


def report(outcome: Outcome, *metrics, kind: str = "classes", seed: int = 0):
    details = Details(LABELS, kind, list(metrics))
    half = len(outcome.references) // 2
    for rows in (np.arange(half), np.arange(half, len(outcome.references))):
        scores = None if outcome.scores is None else outcome.scores[rows]
        details.see(rows, Outcome(outcome.predictions[rows], outcome.references[rows], scores))
    return details.report(Texts(), seed)  # type: ignore[arg-type] - it is only asked how long it is


def drawn(count: int, right: float = 0.8) -> Outcome:
    """Classes, of which a share is right."""
    generator = np.random.default_rng(1)
    references = generator.integers(3, size=count)
    others = generator.integers(3, size=count)
    return Outcome(np.where(generator.random(count) < right, references, others), references)


def test_classes_and_confusions_go_by_name():
    outcome = Outcome(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))

    found = report(outcome, metric("accuracy"))

    assert found["per_class"]["b"] == {
        "precision": 1.0,
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(0.8),
        "support": 3,
    }
    assert found["per_class"]["c"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0}
    assert found["confusion_matrix"] == {"a": {"a": 1}, "b": {"a": 1, "b": 2}, "c": {}}
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("kind", ["classes", "label_sets"])
def test_the_scores_of_each_class_are_scikit_learns(kind):
    outcome = drawn(60)
    if kind == "label_sets":
        random = np.random.default_rng(2)
        outcome = Outcome(random.integers(2, size=(40, 3)), random.integers(2, size=(40, 3)))

    found = report(outcome, metric("accuracy", kind), kind=kind)["per_class"]

    table = precision_recall_fscore_support(outcome.references, outcome.predictions)
    for row, scores in enumerate(found.values()):
        assert list(scores.values()) == pytest.approx([column[row] for column in table])


def test_the_interval_is_that_of_the_normal_approximation_where_there_is_much_data():
    outcome = drawn(25_000)

    interval = report(outcome, metric("accuracy"))["interval"]

    share = float((outcome.predictions == outcome.references).mean())
    apart = 1.96 * (share * (1 - share) / 25_000) ** 0.5
    assert interval["metric"] == "accuracy"
    assert interval["value"] == share
    assert interval["low"] == pytest.approx(share - apart, abs=apart / 10)
    assert interval["high"] == pytest.approx(share + apart, abs=apart / 10)


@pytest.mark.parametrize("name", ["accuracy", "f1", "matthews"])
def test_matrices_and_examples_give_like_intervals(name, monkeypatch):
    outcome = drawn(60)
    fast = report(outcome, metric(name))["interval"]

    target = type(metric(name))
    monkeypatch.delattr(target, "of_matrices")
    slow = report(outcome, metric(name))["interval"]

    assert fast["value"] == slow["value"]
    assert fast["low"] == pytest.approx(slow["low"], abs=0.03)
    assert fast["high"] == pytest.approx(slow["high"], abs=0.03)


def test_the_same_seed_gives_the_same_interval():
    first, again, other = (report(drawn(50), metric("f1"), seed=s)["interval"] for s in (1, 1, 2))

    assert first == again
    assert (first["low"], first["high"]) != (other["low"], other["high"])


CLASSES = st.lists(st.tuples(*[st.integers(0, 2)] * 2), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("accuracy", {}),
        ("matthews", {}),
        ("precision", {"average": "macro"}),
        ("recall", {"average": "weighted"}),
        ("f1", {"average": "micro"}),
        ("f1", {"average": "binary", "positive": "b"}),
        ("f1", {}),
    ],
)
@settings(max_examples=20)
@given(CLASSES)
def test_a_score_of_a_matrix_is_that_of_its_examples(name, keys, pairs):
    references, predictions = (np.array(side) for side in zip(*pairs, strict=True))
    whole = metric(name, **keys)
    whole.update(Outcome(predictions, references))
    matrix = confusion_matrix(references, predictions, labels=range(3))

    (score,) = metric(name, **keys).of_matrices(matrix[None])

    assert score == pytest.approx(whole.compute()[name])


def test_label_sets_have_an_interval_and_no_matrix():
    right = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0]] * 10)
    given_ = right.copy()
    given_[::3, 1] = 1

    found = report(Outcome(given_, right), metric("f1", "label_sets"), kind="label_sets")

    assert found["per_class"]["b"]["precision"] == 0.5
    assert found["interval"]["low"] < found["interval"]["value"] < found["interval"]["high"]
    assert "confusion_matrix" not in found


@pytest.mark.one_backend
def test_a_run_tells_its_surest_mistakes(config_file: Callable[..., Path], loomlm_command):
    run = loomlm.run(config_file(steps="40"))
    details = run.evaluation["finetune"]["test"]["details"]
    shown = loomlm_command("evaluate", run.folder)
    as_json = json.loads(loomlm_command("evaluate", run.folder, "--json").out)

    lines = Path("test.csv").read_text(encoding="utf-8").splitlines()
    mistakes = details["mistakes"]
    model = run.model()
    assert 0 < len(mistakes) <= 20
    assert [m["probability"] for m in mistakes] == sorted(
        (m["probability"] for m in mistakes), reverse=True
    )
    for mistake in mistakes:
        number = int(mistake["place"].rpartition(":")[2])
        (said,) = model.predict([mistake["text"]])
        assert lines[number - 1] == f"{mistake['text']},{mistake['right']}"
        assert mistake["given"] == said["label"] != mistake["right"]
        assert mistake["probability"] == pytest.approx(said["probabilities"][said["label"]])
    assert as_json["finetune"]["test"]["details"] == details
    assert f"accuracy {details['interval']['value']:.4f}, 95% interval" in shown.out
    assert mistakes[0]["text"][:40] in shown.out
    assert "95% interval of accuracy" in (run.folder / "model" / "README.md").read_text()
