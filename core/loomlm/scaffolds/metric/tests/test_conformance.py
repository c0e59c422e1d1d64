"""What every metric promises, and that the score is scikit-learn's."""

import math

import pytest
from sklearn.metrics import cohen_kappa_score


def kappa(weights=None):
    """Scores some examples as a whole; 0 where scikit-learn knows no score."""

    def reference(outcome):
        if not len(outcome.references):
            return 0.0
        labels = range(4)  # as many as the kit's
        score = cohen_kappa_score(
            outcome.references, outcome.predictions, labels=labels, weights=weights
        )
        return 0.0 if math.isnan(score) else score

    return reference


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.loomlm("metric:plugin_component", reference=kappa(), keys={})
def test_it_keeps_what_a_metric_promises(conformance):
    conformance()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.loomlm(
    "metric:plugin_component",
    reference=kappa("linear"),
    keys={"weights": "linear"},
)
def test_it_does_so_with_linear_weights(conformance):
    conformance()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.loomlm(
    "metric:plugin_component",
    reference=kappa("quadratic"),
    keys={"weights": "quadratic"},
)
def test_it_does_so_with_quadratic_weights(conformance):
    conformance()
