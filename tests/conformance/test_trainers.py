"""The built-in trainers hold to what every trainer promises, where what they need is installed."""

from __future__ import annotations

import pytest

from .covered import left_out


@pytest.mark.loomlm("trainer:torch")
def test_torch(conformance):
    conformance()


@pytest.mark.loomlm("trainer:tensorflow")
def test_tensorflow(conformance):
    conformance()


def test_none_is_left_out():
    assert not left_out("trainer", globals())
