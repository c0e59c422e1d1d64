"""What a closer fit would gain, before anything is trained."""

from __future__ import annotations

import random

import pytest

from loomlm.plugin import Example
from loomlm_templates.gain import gain

TOPICS = {"sport": "ball goal team match win", "food": "soup rice bread salt oven"}


def examples(wrong: float, shares: tuple[float, float] = (1, 1), count: int = 600) -> list[Example]:
    """Texts of two topics among words that say nothing; a share have a label by chance."""
    draw = random.Random(3)
    made = []
    for _ in range(count):
        (topic,) = draw.choices(list(TOPICS), shares)
        words = [draw.choice(TOPICS[topic].split()), *(f"w{draw.randrange(50)}" for _ in range(8))]
        label = draw.choice(list(TOPICS)) if draw.random() < wrong else topic
        made.append(Example(" ".join(words), label))
    return made


def test_it_falls_as_labels_get_noisier():
    clean, noisy, by_chance = (gain(examples(wrong)) for wrong in (0, 0.5, 1))

    assert clean is not None and noisy is not None and by_chance is not None
    assert clean > noisy > by_chance
    assert clean > 0.05
    assert by_chance < 0


def test_it_is_no_lower_where_one_label_is_rare():
    even, uneven = (gain(examples(0.05, shares)) for shares in ((1, 1), (6, 1)))

    assert even is not None
    assert uneven is not None
    assert uneven > even


def test_texts_that_say_nothing():
    assert gain([Example("", "a"), Example(" ", "b")] * 10) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("labels", [(), ("a",), (None, None), (("a", "b"), ("a",))])
def test_where_there_is_nothing_to_measure(labels):
    assert gain([Example("text", label) for label in labels]) is None
