"""What every trainer must hold to, and every backbone on it."""

import pytest


@pytest.mark.loomlm("trainer:numpy")
def test_the_trainer_holds_to_its_contract(conformance):
    conformance()
