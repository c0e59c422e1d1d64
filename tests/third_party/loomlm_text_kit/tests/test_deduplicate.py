"""The extension, as the core calls it: behind what reads the examples."""

import pytest

from loomlm.plugin import Example
from loomlm_text_kit.config import DeduplicateConfig
from loomlm_text_kit.deduplicate import Deduplicate

TEXTS = ("One", "two", "one", "One", "")


def left(split: str, **keys: bool) -> list[str]:
    """The texts that come out."""
    wrapper = Deduplicate(DeduplicateConfig(**keys)).loomlm_examples(split)
    next(wrapper)
    with pytest.raises(StopIteration) as done:
        wrapper.send(Example(text, label=str(place)) for place, text in enumerate(TEXTS))
    return [example.text for example in done.value.value]


def test_the_first_of_training_texts_stays():
    assert left("train") == ["One", "two", ""]
    assert left("train", ignore_case=False) == ["One", "two", "one", ""]


@pytest.mark.parametrize("split", ["validation", "test", "predict"])
def test_other_splits_stay_whole(split):
    assert left(split) == list(TEXTS)
