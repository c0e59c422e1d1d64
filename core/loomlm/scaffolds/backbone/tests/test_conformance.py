"""What every backbone promises, with each of its trials, on each backend."""

import pytest


@pytest.mark.loomlm("backbone:plugin_component")
def test_it_keeps_what_a_backbone_promises(conformance):
    conformance()
