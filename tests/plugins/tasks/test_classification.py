"""The classification task: labels to numbers, batches, weights, losses and answers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.utils.class_weight import compute_class_weight

from loomlm.contracts import Batch, Example, Ragged
from loomlm_tasks.classification import Classification
from loomlm_tasks.config import ClassificationConfig


class Letters:
    """A tokenizer whose words are letters."""

    def encode_many(self, texts: Sequence[str]) -> Ragged:
        offsets = np.cumsum([0, *map(len, texts)])
        return Ragged(np.array([ord(c) for text in texts for c in text], np.int32), offsets)


LETTERS: Any = Letters()
SINGLE = [Example("abc", "pos"), Example("", "neg"), Example("ab", "pos"), Example("a", "pos")]
SETS = [Example("abc", ("b", "a")), Example("x", ()), Example("xy", ("b", "b")), Example("z", "b")]


def task(**keys: Any) -> Classification:
    return Classification(ClassificationConfig(**keys))


def batch_of(task: Classification, examples: list[Example], height: int, width: int) -> Batch:
    facts = task.fit(examples, LETTERS)
    columns = task.encode(examples, LETTERS, facts, True)
    return task.collate(columns, {"batch": height, "time": width}, facts)


def test_single_labels_become_the_places_of_their_names():
    facts = task().fit(SINGLE, LETTERS)
    columns = task().encode(SINGLE, LETTERS, facts, True)

    assert facts == {"labels": ["neg", "pos"], "counts": [1, 3]}
    assert json.loads(json.dumps(facts)) == facts
    assert np.asarray(columns["label"]).tolist() == [1, 0, 1, 1]
    assert "label" not in task().encode(SINGLE, LETTERS, facts, False)


@pytest.mark.parametrize(
    "examples",
    [SETS, [Example("abc", "b, a"), Example("x", ""), Example("xy", "b,b"), Example("z", ",b,")]],
)
def test_label_sets_become_rows_of_0_and_1(examples):
    several = task(multi_label=True)
    facts = several.fit(examples, LETTERS)
    columns = several.encode(examples, LETTERS, facts, True)

    assert facts == {"labels": ["a", "b"], "counts": [1, 3]}
    assert np.asarray(columns["label"]).tolist() == [[1, 1], [0, 0], [0, 1], [0, 1]]


def test_another_separator():
    facts = task(multi_label=True, separator=" | ").fit([Example("", "a,b | c")], LETTERS)

    assert facts["labels"] == ["a,b", "c"]


def test_a_batch_is_padded_and_padding_has_no_weight():
    batch = batch_of(task(), SINGLE, 6, 4)

    assert batch["tokens"].tolist()[:2] == [[97, 98, 99, 0], [0, 0, 0, 0]]
    assert batch["length"].tolist() == [3, 0, 2, 1, 0, 0]
    assert batch["weight"].tolist() == [1, 1, 1, 1, 0, 0]
    assert batch["label"].tolist() == [1, 0, 1, 1, 0, 0]


@pytest.mark.parametrize("multi_label", [True, False])
def test_a_batch_is_as_its_spec_says(multi_label):
    made = task(multi_label=multi_label)
    batch = batch_of(made, SETS if multi_label else SINGLE, 5, 3)
    sizes = {"batch": 5, "time": 3}

    spec = made.batch_spec({"labels": ["a", "b"], "counts": [1, 1]}, [sizes])

    assert [field.name for field in spec.fields] == list(batch.arrays)
    for field in spec.fields:
        shape = tuple(sizes[s] if isinstance(s, str) else s for s in field.shape)
        assert (batch[field.name].shape, batch[field.name].dtype) == (shape, field.dtype)
    assert spec.shapes == (sizes,)


def test_long_texts_are_cut_to_their_first_tokens():
    tokens = task(max_tokens=2).encode(SINGLE, LETTERS, task().fit(SINGLE, LETTERS), True)["tokens"]

    assert isinstance(tokens, Ragged)
    assert [tokens[row].tolist() for row in range(4)] == [[97, 98], [], [97, 98], [97]]


def test_balanced_weights_are_scikit_learns():
    labels = ["a"] * 5 + ["b"] * 3 + ["c"]
    batch = batch_of(task(class_weights="balanced"), [Example("", x) for x in labels], 10, 8)

    expected = compute_class_weight("balanced", classes=np.unique(labels), y=labels)
    by_label = dict(zip("abc", expected, strict=True))
    assert batch["weight"][:9] == pytest.approx([by_label[label] for label in labels])
    assert batch["weight"][9] == 0


def test_given_weights_go_by_name_and_others_count_once():
    batch = batch_of(task(class_weights={"pos": 2.5}), SINGLE, 5, 4)
    sets = batch_of(task(class_weights={"a": 3.0}, multi_label=True), SETS, 5, 4)

    assert batch["weight"].tolist() == [2.5, 1, 2.5, 2.5, 0]
    # The mean of the labels' weights; 1 for a text without a label.
    assert sets["weight"].tolist() == [2, 1, 1, 1, 0]


def loss_of(backend: str, made: Classification, batch: Batch) -> float:
    """What the backend's loss says of LOGITS."""
    loss = made.loss({"labels": ["a", "b", "c"], "counts": [1, 1, 1]})
    model = import_module(f"loomlm_{backend}.model")
    if backend == "torch":
        import torch

        tensors = {name: torch.from_numpy(array) for name, array in batch.arrays.items()}
        total = model.weighted_loss(torch.from_numpy(LOGITS), tensors, loss)
    else:
        total = model.weighted_loss(LOGITS, dict(batch.arrays), loss)
    return float(total) / float(batch["weight"].sum())


def own(backend: str, target: np.ndarray, weight: np.ndarray | None = None, smoothing=0.0) -> float:
    """What the framework's own loss says of the first rows of LOGITS; target: a label each."""
    logits = LOGITS[: len(target)]
    if backend == "torch":
        import torch

        given = None if weight is None else torch.from_numpy(weight)
        loss = torch.nn.CrossEntropyLoss(weight=given, label_smoothing=smoothing)
        return float(loss(torch.from_numpy(logits), torch.from_numpy(target)))
    from keras.losses import CategoricalCrossentropy

    loss = CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing, reduction="sum")
    each = np.ones(len(target)) if weight is None else weight[target]
    return float(loss(np.eye(3)[target], logits, sample_weight=each)) / each.sum()


def own_binary(backend: str, target: np.ndarray) -> float:
    """The same of sets of labels; target: a share for each label."""
    logits = LOGITS[: len(target)]
    if backend == "torch":
        import torch

        return float(
            torch.nn.BCEWithLogitsLoss()(torch.from_numpy(logits), torch.from_numpy(target))
        )
    from keras.losses import BinaryCrossentropy

    return float(BinaryCrossentropy(from_logits=True)(target, logits))


LABELS = ["a", "b", "c", "a", "a", "b"]
TARGET = np.array([0, 1, 2, 0, 0, 1])
LOGITS = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)


def test_class_weights_are_those_of_the_frameworks_own_loss(backend):
    made = task(class_weights={"a": 0.5, "c": 4.0})
    batch = batch_of(made, [Example("", label) for label in LABELS], 8, 8)

    expected = own(backend, TARGET, np.float32([0.5, 1.0, 4.0]))

    assert loss_of(backend, made, batch) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_label_smoothing_is_that_of_the_frameworks_own_loss(backend, smoothing):
    made = task(label_smoothing=smoothing)
    batch = batch_of(made, [Example("", label) for label in LABELS], 8, 8)

    expected = own(backend, TARGET, smoothing=smoothing)

    assert loss_of(backend, made, batch) == pytest.approx(expected, rel=1e-6)


def test_label_sets_are_smoothed_towards_one_half(backend):
    made = task(label_smoothing=0.2, multi_label=True)
    examples = [Example("", label) for label in ("a,b", "", "c")]
    batch = batch_of(made, examples, 8, 8)

    expected = own_binary(backend, np.float32([[0.9, 0.9, 0.1], [0.1, 0.1, 0.1], [0.1, 0.1, 0.9]]))

    assert loss_of(backend, made, batch) == pytest.approx(expected, rel=1e-6)


def test_what_metrics_compare_leaves_padding_out():
    batch = batch_of(task(), [Example("", label) for label in LABELS], 8, 8)

    outcome = task().outcome(LOGITS, batch)

    assert outcome.predictions.tolist() == LOGITS[:6].argmax(axis=1).tolist()
    assert outcome.references.tolist() == [0, 1, 2, 0, 0, 1]


def test_a_label_is_given_from_the_threshold_on():
    logits = np.array([[0.0, -0.01, 2.0], [-9.0, -9.0, -9.0]], np.float32)
    batch = batch_of(task(multi_label=True), [Example("", "a,b,c"), Example("", "a")], 2, 8)

    assert task(multi_label=True).outcome(logits, batch).predictions.tolist() == [
        [1, 0, 1],
        [0, 0, 0],
    ]
    strict = task(multi_label=True, threshold=0.8)
    assert strict.outcome(logits, batch).predictions.tolist()[0] == [0, 0, 1]
    given = [row["labels"] for row in strict.decode(logits, {"labels": ["a", "b", "c"]})]
    assert given == [["c"], []]


@pytest.mark.parametrize("multi_label", [True, False])
def test_answers_are_probabilities_the_likeliest_first(multi_label):
    logits = np.array([[-1.0, 3.0, 0.0], [1e4, -1e4, 0.0]], np.float32)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = task(multi_label=multi_label).decode(logits, {"labels": ["a", "b", "c"]})

    assert list(first["probabilities"]) == ["b", "c", "a"]
    assert next(iter(second["probabilities"])) == "a"
    values = np.array([first["probabilities"][label] for label in "abc"])
    expected = expit(logits[0]) if multi_label else softmax(logits[0])
    assert values == pytest.approx(expected, rel=1e-5)
    assert json.loads(json.dumps([first, second])) == [first, second]
