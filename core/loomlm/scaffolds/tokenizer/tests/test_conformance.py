"""What every tokenizer promises, checked with each of the component's `trials`."""

import pytest


@pytest.mark.loomlm("tokenizer:plugin_component")
def test_it_keeps_what_a_tokenizer_promises(conformance):
    conformance()
