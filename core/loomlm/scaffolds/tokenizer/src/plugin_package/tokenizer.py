"""A tokenizer: each byte of a text's UTF-8 is a token.

It needs no training and knows every text, at the price of rows that are as long as the
texts are. Put your own arithmetic here: a model sees only the ids below.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from attrs import asdict, frozen
from loomlm.plugin import Ragged

from plugin_package import BytesConfig

FILE = "bytes.json"
SPECIAL = ("<pad>", "<end>")
"""They have the ids 0 and 1; the byte b has the id b + 2."""


@frozen
class Bytes:
    """Text to ids and back. See `loomlm.plugin.Tokenizer`.

    `unknown_id` is None: there is no text that the bytes cannot say.
    """

    config: BytesConfig

    vocab_size = 256 + len(SPECIAL)
    pad_id = 0
    unknown_id = None
    end_id = 1

    def encode_many(self, texts: Sequence[str]) -> Ragged:
        """Ids of each text, (texts,) rows of int32, end to end."""
        rows = [self._bytes(text) for text in texts]
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        values = np.frombuffer(b"".join(rows), np.uint8).astype(np.int32)
        return Ragged(values + len(SPECIAL), offsets)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, without special tokens.

        A model may write bytes that are no UTF-8: those become U+FFFD.
        """
        first = len(SPECIAL)
        said = bytes(int(id_) - first for id_ in ids if id_ >= first)
        return said.decode("utf-8", "replace")

    def vocabulary(self) -> Mapping[str, int]:
        """Each token with its id: bytes are called as SentencePiece calls them."""
        names = (*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)))
        return {name: id_ for id_, name in enumerate(names)}

    def files(self) -> Mapping[str, bytes]:
        """What a model's folder keeps: all that the ids depend on."""
        return {FILE: json.dumps(asdict(self.config)).encode()}

    def _bytes(self, text: str) -> bytes:
        if self.config.form != "as is":
            text = unicodedata.normalize(self.config.form, text)
        text = text.lower() if self.config.lower_case else text
        # Half of a surrogate pair is no character; files in the wild have them.
        return text.encode("utf-8", "replace")


class BytesFactory:
    """What the component's `target` names. See `loomlm.plugin.TokenizerFactory`."""

    @staticmethod
    def train(config: BytesConfig, texts: Iterable[str]) -> Bytes:
        """The tokenizer of the config. One that learns goes through the texts here.

        The same texts must give the same ids: they are part of what a model learns.
        """
        return Bytes(config)

    @staticmethod
    def load(config: BytesConfig, files: Mapping[str, bytes]) -> Bytes:
        """The tokenizer that `files` came from, whatever the config says by now."""
        return Bytes(BytesConfig(**json.loads(files[FILE])))
