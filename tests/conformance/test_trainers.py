"""The built-in trainers hold to what every trainer promises, where what they need is installed."""

from __future__ import annotations

import pytest

from loomlm.registry import Registry


@pytest.mark.loomlm("trainer:torch")
def test_torch(conformance):
    conformance()


@pytest.mark.loomlm("trainer:tensorflow")
def test_tensorflow(conformance):
    conformance()


def test_every_built_in_trainer_is_checked():
    marks = [mark for test in globals().values() for mark in getattr(test, "pytestmark", [])]
    built_in = [e for e in Registry.load().of("trainer") if e.plugin.built_in]

    assert {f"trainer:{entry.component.name}" for entry in built_in} == {
        mark.args[0] for mark in marks
    }
