"""The built-in trainers hold to what every trainer promises."""

from __future__ import annotations

import pytest


@pytest.mark.loomlm("trainer:torch")
def test_torch(conformance):
    conformance()


@pytest.mark.loomlm("trainer:tensorflow")
def test_tensorflow(conformance):
    conformance()
