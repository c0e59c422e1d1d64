"""The built-in backbones hold to what every backbone promises."""

from __future__ import annotations

import pytest


@pytest.mark.loomlm("backbone:mlp")
def test_mlp(conformance):
    conformance()


@pytest.mark.loomlm("backbone:rnn")
def test_rnn(conformance):
    conformance()


@pytest.mark.loomlm("backbone:transformer")
def test_transformer(conformance):
    conformance()
