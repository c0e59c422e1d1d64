"""How what two backends gave is compared."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest

from loomlm.testing.compare import (
    LOGITS,
    LOSS,
    METRICS,
    Result,
    compare_logits,
    compare_losses,
    compare_scores,
    compare_text,
    numbers,
)


@pytest.mark.parametrize(("worst", "ok"), [(1e-5, True), (1e-4, True), (1.1e-4, False)])
def test_a_result_is_ok_up_to_its_limit(worst, ok):
    assert Result(case="a", check="b", worst=worst, limit=1e-4, said="c").ok == ok


@pytest.mark.parametrize("worst", [inf, nan])
def test_what_is_no_number_is_not_ok(worst):
    assert not Result(case="a", check="b", worst=worst, limit=1e-4, said="c").ok


def test_logits_are_as_far_apart_as_the_worst():
    first = np.zeros((3, 4), np.float32)
    second = first.copy()
    second[1, 2] = -3e-5

    found = compare_logits(first, second)

    assert found.worst == pytest.approx(3e-5)
    assert found.limit == LOGITS


@pytest.mark.parametrize(
    "second", [np.zeros((3, 5)), np.full((3, 4), nan), np.full((3, 4), inf)], ids=str
)
def test_logits_of_another_shape_or_that_are_no_numbers(second):
    assert compare_logits(np.zeros((3, 4)), second).worst == inf


def test_no_logits_at_all_are_no_agreement():
    assert compare_logits(np.zeros((0, 4)), np.zeros((0, 4))).worst == inf


def scored(**scores: object) -> dict:
    labels = np.array([0, 1, 1])
    return {"predictions": labels, "references": labels, "scores": scores}


def test_scores_are_compared_by_share_where_they_are_large():
    found = compare_scores(scored(perplexity=1e6), scored(perplexity=1e6 + 0.5))

    assert found.worst == pytest.approx(5e-7)
    assert found.worst <= found.limit == METRICS


def test_numbers_in_tables_are_scores_too():
    matrix = {"confusion_matrix": [[1, 0], [0, 2]], "name": "no number"}

    assert len(dict(numbers(matrix))) == 4
    other = {"confusion_matrix": [[1, 0], [1, 1]], "name": "no number"}
    assert compare_scores(scored(**matrix), scored(**other)).worst >= 0.5


def test_a_score_that_one_backend_lacks():
    found = compare_scores(scored(accuracy=0.5, f1=0.5), scored(accuracy=0.5))

    assert found.worst == inf
    assert "f1" in found.said


def test_other_predictions_are_told_before_scores():
    second = {**scored(accuracy=1.0), "predictions": np.array([0, 0, 1])}

    found = compare_scores(scored(accuracy=1.0), second)

    assert found.worst == inf
    assert found.said == "1 of 3 predictions differ"


def written(tokens: list[list[int]], gaps: list[list[float]]) -> dict[str, np.ndarray]:
    """Texts of some rows; a list for each row."""
    return {"tokens": np.array(tokens).T, "gaps": np.array(gaps, np.float32).T}


def test_texts_may_part_at_a_tie():
    first = written([[5, 6, 7, 8]], [[1, 1, 5e-4, 1]])
    second = written([[5, 6, 9, 4]], [[1, 1, 6e-4, 1]])

    found = compare_text(first, second)

    assert found.worst == 0
    assert found.said == "2 of 4 tokens in front of a tie"


def test_texts_that_part_before_a_tie_differ_from_there_on():
    first = written([[5, 6, 7, 8], [1, 1, 1, 1]], [[1, 1, 1, 5e-4], [1, 1, 1, 1]])
    second = written([[5, 9, 9, 8], [1, 1, 1, 1]], [[1, 1, 1, 1], [1, 1, 1, 1]])

    assert compare_text(first, second).worst == 2


def test_a_tie_of_one_backend_is_a_tie():
    first = written([[5, 6]], [[1, 2e-3]])
    second = written([[5, 7]], [[1, 5e-4]])

    assert compare_text(first, second).worst == 0


def test_texts_that_begin_with_ties_show_nothing():
    every = written([[5], [6]], [[0], [0]])

    assert compare_text(every, every).worst == inf


def curve(losses: list[float | None], norms: list[float | None] | None = None) -> dict:
    steps = list(range(1, len(losses) + 1))
    return {"steps": steps, "losses": losses, "norms": norms or [1.0] * len(losses)}


def test_a_curve_is_as_far_apart_as_its_worst_step():
    found = compare_losses(curve([3.0, 2.0, 1.0]), curve([3.0, 2.00005, 1.0]), 0.5)

    assert found.worst == pytest.approx(5e-5)
    assert found.limit == LOSS
    assert found.said == "3 steps from 3.000 to 1.000, 3 clipped, the worst at step 2"


def test_curves_of_unequal_steps():
    assert compare_losses(curve([3.0, 2.0]), curve([3.0]), 0.5).worst == inf
    assert compare_losses(curve([]), curve([]), 0.5).worst == inf


def test_a_loss_that_is_no_number():
    assert compare_losses(curve([3.0, None]), curve([3.0, None]), 0.5).worst == inf
