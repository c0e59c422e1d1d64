"""The built-in tokenizers hold to what every tokenizer promises."""

from __future__ import annotations

import pytest


@pytest.mark.loomlm("tokenizer:character")
def test_character(conformance):
    conformance()
