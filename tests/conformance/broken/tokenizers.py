"""A plugin of tokenizers: one that keeps every promise, and others that break one each."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from time import sleep
from typing import Any

import numpy as np

from loomlm.plugin import Component, Ragged, hookimpl

SPECIAL = ("<pad>", "<unk>", "<end>")


class Letters:
    """A token for each character that was learnt; its own factory."""

    pad_id, unknown_id, end_id = 0, 1, 2

    def __init__(self, tokens: Sequence[str], **facts: Any) -> None:
        self.tokens = list(tokens)
        self.ids = {token: number for number, token in enumerate(tokens)}
        self.facts = facts

    @classmethod
    def train(cls, config: Any, texts: Iterable[str]) -> Letters:
        return cls([*SPECIAL, *sorted({letter for text in texts for letter in text})])

    @classmethod
    def load(cls, config: Any, files: Mapping[str, bytes]) -> Letters:
        state = json.loads(files["letters.json"])
        return cls(state["tokens"], **state["facts"])

    @property
    def vocab_size(self) -> int:
        return len(self.tokens)

    def row(self, text: str) -> list[int]:
        return [self.ids.get(letter, self.unknown_id) for letter in text]

    def encode_many(self, texts: Sequence[str]) -> Ragged:
        return self.ragged([self.row(text) for text in texts])

    def ragged(self, rows: list[list[int]]) -> Ragged:
        offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
        return Ragged(np.array([number for row in rows for number in row], np.int32), offsets)

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(self.tokens[number] for number in ids if number >= len(SPECIAL))

    def vocabulary(self) -> Mapping[str, int]:
        return self.ids

    def files(self) -> Mapping[str, bytes]:
        state = {"tokens": self.tokens, "facts": self.facts}
        return {"letters.json": json.dumps(state).encode()}


class SpacesHavePlaces(Letters):
    def encode_spans(self, texts):
        starts = [place for text in texts for place in range(len(text))]
        return self.encode_many(texts), np.array(starts, np.int32), np.array(starts, np.int32) + 1


class WideIds(Letters):
    def ragged(self, rows):
        found = super().ragged(rows)
        return Ragged(found.values.astype(np.int64), found.offsets)


class StumblesOverHalves(Letters):
    def row(self, text):
        text.encode()
        return super().row(text)


class Strips(Letters):
    def row(self, text):
        return super().row(text.rstrip())


class Drifts(Letters):
    def decode(self, ids):
        text = super().decode(ids)
        return f" {text}" if text else ""


class StumblesOverArrays(Letters):
    def decode(self, ids):
        return super().decode(ids) if ids else ""


class EndIsPadding(Letters):
    end_id = 0


class ShowsPadding(Letters):
    def decode(self, ids):
        return "".join(self.tokens[number] for number in ids if number not in (1, 2))


class ReadsNamesOfSpecialTokens(Letters):
    def row(self, text):
        first, name, rest = text.partition("<pad>")
        return super().row(first) + ([0, *self.row(rest)] if name else [])


class OneIdForTwo(Letters):
    def vocabulary(self):
        return {**self.ids, "another": 5}


class ForgetsAToken(Letters):
    def vocabulary(self):
        return {token: number for token, number in self.ids.items() if token != "a"}


class LearnsAtRandom(Letters):
    @classmethod
    def train(cls, config, texts):
        tokens = super().train(config, texts).tokens
        return cls([*SPECIAL, *random.Random().sample(tokens[3:], len(tokens) - 3)])


class LearnsInTheOrderOfASet(Letters):
    @classmethod
    def train(cls, config, texts):
        return cls([*SPECIAL, *{letter for text in texts for letter in text}])


class ForgetsItsCase(Letters):
    small = False

    @classmethod
    def train(cls, config, texts):
        made = super().train(config, [text.lower() for text in texts])
        made.small = True
        return made

    def row(self, text):
        return super().row(text.lower() if self.small else text)


class SavesInAFolder(Letters):
    def files(self):
        return {f"vocabulary/{name}": content for name, content in super().files().items()}


class MixesRows(Letters):
    def encode_many(self, texts):
        return super().encode_many(sorted(texts, key=len))


class CutsAtChunks(Letters):
    def encode_many(self, texts):
        rows = [self.row(text) for text in texts]
        return self.ragged([row[number >= 1000 :] for number, row in enumerate(rows)])


class SharesARow(Letters):
    def row(self, text):
        self.shared = []
        for letter in text:
            self.shared.append(self.ids.get(letter, self.unknown_id))
        sleep(0)
        return self.shared


class LooksAtAllForEach(Letters):
    paused = False

    def encode_many(self, texts):
        if len(texts) == 1 and not self.paused:
            self.paused = True
            sleep(0.5)  # As a busy machine pauses, once, and where it hides what is to be found.
        for _ in texts:
            for _ in range(20 * len(texts)):
                pass
        return super().encode_many(texts)


class DividesByTexts(Letters):
    @classmethod
    def train(cls, config, texts):
        texts = [text for text in texts if text.strip()]
        return cls(super().train(config, texts).tokens, mean=sum(map(len, texts)) / len(texts))


@hookimpl
def loomlm_tokenizers() -> list[Component]:
    return [
        Component(kind="tokenizer", name=name, summary="", target=f"{__name__}:{name}")
        for name, made in list(globals().items())
        if isinstance(made, type) and issubclass(made, Letters)
    ]
