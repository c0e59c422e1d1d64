"""What every trainer promises, checked with each of the component's `trials`."""

import pytest


@pytest.mark.loomlm("trainer:plugin_component")
def test_it_keeps_what_a_trainer_promises(conformance):
    conformance()


@pytest.mark.loomlm("backbone:plugin_component")
def test_its_backbone_keeps_what_a_backbone_promises(conformance):
    conformance()
