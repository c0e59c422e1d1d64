"""What every metric promises, checked with each of the component's `trials`."""

import pytest


@pytest.mark.loomlm("metric:plugin_component")
def test_it_keeps_what_a_metric_promises(conformance):
    conformance()
