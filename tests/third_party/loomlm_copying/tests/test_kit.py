"""What every backbone must hold to."""

import pytest


@pytest.mark.loomlm("backbone:encoder_decoder")
def test_the_backbone_holds_to_its_contract(conformance):
    conformance()
