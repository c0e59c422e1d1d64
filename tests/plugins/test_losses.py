"""The losses that every trainer implements, beside the same in plain numpy."""

from importlib import import_module

import numpy as np
import pytest

from loomlm.plugin import Loss

RANDOM = np.random.default_rng(5)


def weighted(backend: str, logits: np.ndarray, arrays: dict[str, np.ndarray], loss: Loss) -> float:
    model = import_module(f"loomlm_{backend}.model")
    if backend == "tensorflow":
        return float(model.weighted_loss(logits, arrays, loss))
    import torch

    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    return float(model.weighted_loss(torch.from_numpy(logits), tensors, loss))


def test_a_squared_error_counts_each_row_by_its_weight(backend):
    logits = np.array([[1.0], [3.0], [9.0]], np.float32)
    label, weight = np.array([0.5, 5, 0], np.float32), np.array([2, 1, 0], np.float32)

    found = weighted(
        backend, logits, {"label": label, "weight": weight}, Loss(kind="squared_error")
    )

    assert found == pytest.approx(2 * 0.25 + 4)


def test_a_span_is_chosen_among_the_places_that_are_allowed(backend):
    logits = RANDOM.normal(size=(3, 6, 2)).astype(np.float32)
    allowed = np.array([[0, 1, 1, 1, 0, 0], [1, 0, 0, 1, 1, 1], [1, 1, 0, 0, 0, 0]], np.float32)
    label = np.array([[1, 3], [0, 0], [0, 1]], np.int32)
    weight = np.array([1, 0.5, 0], np.float32)
    arrays = {"label": label, "weight": weight, "allowed": allowed}

    each = []
    for row, ends in enumerate(label):
        raised = np.exp(logits[row].astype(np.float64)) * allowed[row][:, None]
        each.append(-np.log((raised / raised.sum(axis=0))[ends, [0, 1]]).mean())

    found = weighted(backend, logits, arrays, Loss(kind="span"))
    assert found == pytest.approx(float(np.dot(each, weight)), rel=1e-5)
