"""A tokenizer: the most frequent words of the training texts, parted by white space."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from attrs import frozen

from loomlm.plugin import Ragged, UsageError
from loomlm_example.config import WhitespaceConfig

FILE = "whitespace.json"
SPECIAL = ("<pad>", "<unk>")


@frozen
class Whitespace:
    """Text to ids of words and back. See `loomlm.plugin.Tokenizer`.

    ids: of every word. `<pad>` is 0; `<unk>`, 1, stands for each word that is not in it.
    """

    ids: Mapping[str, int]
    lower_case: bool

    @property
    def vocab_size(self) -> int:
        return len(self.ids)

    @property
    def pad_id(self) -> int:
        return 0

    @property
    def unknown_id(self) -> int | None:
        return 1

    @property
    def end_id(self) -> int | None:
        return None

    def encode_many(self, texts: Sequence[str]) -> Ragged:
        """Ids of each text, (texts,) rows of int32. A text that says "<pad>" has no such id."""
        ids = {word: id_ for word, id_ in self.ids.items() if word not in SPECIAL}
        rows = [[ids.get(word, 1) for word in split(text, self.lower_case)] for text in texts]
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        return Ragged(np.array([id_ for row in rows for id_ in row], np.int32), offsets)

    def decode(self, ids: Sequence[int]) -> str:
        """The words of the ids with single spaces; padding and unknown words left out."""
        words = list(self.ids)
        return " ".join(words[id_] for id_ in ids if id_ >= len(SPECIAL))

    def vocabulary(self) -> Mapping[str, int]:
        """Each word with its id, in the order of ids."""
        return self.ids

    def files(self) -> Mapping[str, bytes]:
        """What a model's folder keeps; the factory's `load` takes it back."""
        state = {"words": list(self.ids), "lower_case": self.lower_case}
        return {FILE: json.dumps(state).encode()}


class WhitespaceFactory:
    """What the component's `target` names. See `loomlm.plugin.TokenizerFactory`."""

    @staticmethod
    def train(config: WhitespaceConfig, texts: Iterable[str]) -> Whitespace:
        """The words of the texts, by falling frequency, words of one frequency in order.

        The order must not depend on anything else: ids are part of what a model learns. Raises
        UsageError when the texts have no word.
        """
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(split(text, config.lower_case))
        if not counts:
            raise UsageError("The training texts have no word. Check the text column of the data.")
        ranked = sorted(counts.keys() - set(SPECIAL), key=lambda word: (-counts[word], word))
        words = (*SPECIAL, *ranked[: config.max_words])
        return Whitespace({word: id_ for id_, word in enumerate(words)}, config.lower_case)

    @staticmethod
    def load(config: WhitespaceConfig, files: Mapping[str, bytes]) -> Whitespace:
        """The tokenizer that `files` came from, whatever the config says by now."""
        state = json.loads(files[FILE])
        ids = {word: id_ for id_, word in enumerate(state["words"])}
        return Whitespace(ids, state["lower_case"])


def split(text: str, lower_case: bool) -> list[str]:
    """The words of a text."""
    return (text.lower() if lower_case else text).split()
