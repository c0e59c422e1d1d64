"""The built-in backbones hold to what every backbone promises."""

from __future__ import annotations

import pytest

from loomlm.registry import Registry


@pytest.mark.loomlm("backbone:mlp")
def test_mlp(conformance):
    conformance()


@pytest.mark.loomlm("backbone:rnn")
def test_rnn(conformance):
    conformance()


@pytest.mark.loomlm("backbone:transformer")
def test_transformer(conformance):
    conformance()


def test_every_built_in_backbone_is_checked():
    marks = [mark for test in globals().values() for mark in getattr(test, "pytestmark", [])]
    built_in = [e for e in Registry.load().of("backbone") if e.plugin.built_in]

    assert {f"backbone:{entry.component.name}" for entry in built_in} == {
        mark.args[0] for mark in marks
    }
