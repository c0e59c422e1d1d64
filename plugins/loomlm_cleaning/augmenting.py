"""Further training examples whose texts differ in some words."""

from __future__ import annotations

import hashlib
import re
from random import Random

from attrs import evolve

from loomlm.plugin import Example, UsageError
from loomlm_cleaning.config import AugmentConfig

WORD = re.compile(r"(\S+)(\s*)")

ALTERED = ("pair",)
"""Further texts that are altered too: of the others, one is asked, and one is to be written."""


class Augment:
    """See `augment_step`. several: it gives more than one example for one."""

    splits = ("train",)
    several = True

    def __init__(self, config: AugmentConfig) -> None:
        self._config = config

    def example(self, example: Example) -> Example | tuple[Example, ...]:
        """The example, and behind it its copies, without those that are like it or another."""
        if "question" in example.extra or set(example.meta) - {"id"}:
            raise UsageError(
                f"{example.place}: `augment` leaves out and moves words, and this example says "
                "where in its text something stands. Take `augment` out of data.clean; "
                "trainer.word_dropout leaves words where they are."
            )
        found = [example]
        for number in range(self._config.copies):
            copy = self._copy(example, number)
            if copy not in found:
                found.append(copy)
        return tuple(found) if len(found) > 1 else example

    def _copy(self, example: Example, number: int) -> Example:
        extra = {
            name: altered(text, number, self._config) if name in ALTERED else text
            for name, text in example.extra.items()
        }
        return evolve(example, text=altered(example.text, number, self._config), extra=extra)


def augment_step(config: AugmentConfig) -> Augment:
    """Adds copies of training examples, with some words left out or exchanged with the next.

    Two of the four operations of EDA (Wei and Zou 2019), those that need no list of synonyms. What
    a copy has is a function of the text and its number. Second texts of a pair are altered, too,
    what is to be written is not. It comes last, behind the cut into splits, so that no copy stands
    in another split.
    """
    return Augment(config)


def altered(text: str, number: int, config: AugmentConfig) -> str:
    """Copy `number` of a text, by the text and the number alone; at least one word is left."""
    seed = hashlib.blake2b(f"{number}:{text}".encode("utf-8", "surrogatepass"), digest_size=8)
    draw = Random(int.from_bytes(seed.digest(), "big"))
    pieces = WORD.findall(text)
    words, gaps = [word for word, _ in pieces], [gap for _, gap in pieces]
    index = 0
    while index + 1 < len(words):
        if draw.random() < config.swap:
            words[index], words[index + 1] = words[index + 1], words[index]
            index += 1  # A word is moved by one place at most.
        index += 1
    kept = [at for at in range(len(words)) if draw.random() >= config.delete]
    if words and not kept:
        kept = [draw.randrange(len(words))]
    return "".join(words[at] + gaps[at] for at in kept).rstrip()
