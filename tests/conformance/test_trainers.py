"""The built-in trainers hold to what every trainer promises, where what they need is installed."""

from __future__ import annotations

import pytest

from loomlm.config.check import usable_backends
from loomlm.registry import Registry

REGISTRY = Registry.load()
USABLE = usable_backends(REGISTRY)

if "torch" in USABLE:

    @pytest.mark.loomlm("trainer:torch")
    def test_torch(conformance):
        conformance()


if "tensorflow" in USABLE:

    @pytest.mark.loomlm("trainer:tensorflow")
    def test_tensorflow(conformance):
        conformance()


def test_every_built_in_trainer_is_checked():
    marks = [mark for test in globals().values() for mark in getattr(test, "pytestmark", [])]
    built_in = [e.component.name for e in REGISTRY.of("trainer") if e.plugin.built_in]

    assert {f"trainer:{name}" for name in built_in if name in USABLE} == {
        mark.args[0] for mark in marks
    }
