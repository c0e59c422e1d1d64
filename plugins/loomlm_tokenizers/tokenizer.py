"""One tokenizer for all five models: what the `tokenizers` package made, behind our contract."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain

import numpy as np
from attrs import define, field
from tokenizers import Tokenizer as Backend

from loomlm.plugin import Ragged, UsageError

PAD, UNKNOWN, END = "<pad>", "<unk>", "<end>"
FILE = "tokenizer.json"
CHUNK = 2000

PADS = (PAD, "[PAD]", "<|pad|>")
UNKNOWNS = (UNKNOWN, "[UNK]", "<|unk|>")
ENDS = (END, "<|endoftext|>", "</s>", "<eos>", "[SEP]", "<|end_of_text|>")


@define
class HuggingFaceTokenizer:
    """See `loomlm.plugin.Tokenizer`.

    A tokenizer that was loaded may lack special tokens: `pad_id` is then that of the end token,
    or 0; padding is masked wherever it stands.
    """

    backend: Backend
    pad_id: int = field(init=False)
    unknown_id: int | None = field(init=False)
    end_id: int | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.backend.no_padding()
        self.backend.no_truncation()
        self.unknown_id = self._special(UNKNOWNS)
        self.end_id = self._special(ENDS)
        pad = self._special(PADS)
        self.pad_id = pad if pad is not None else self.end_id or 0

    @property
    def vocab_size(self) -> int:
        return max(self.backend.get_vocab(True).values()) + 1

    def encode_many(self, texts: Sequence[str]) -> Ragged:
        """Ids of each text, int32."""
        values: list[np.ndarray] = []
        lengths: list[int] = []
        for start in range(0, len(texts), CHUNK):
            chunk = [_storable(text) for text in texts[start : start + CHUNK]]
            rows = [
                encoding.ids
                for encoding in self.backend.encode_batch_fast(chunk, add_special_tokens=False)
            ]
            lengths += map(len, rows)
            values.append(np.fromiter(chain.from_iterable(rows), np.int32, sum(map(len, rows))))
        offsets = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return Ragged(np.concatenate(values) if values else np.empty(0, np.int32), offsets)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids, special tokens left out."""
        return self.backend.decode([int(one) for one in ids], skip_special_tokens=True)

    def vocabulary(self) -> Mapping[str, int]:
        """Each token with its id."""
        return self.backend.get_vocab(True)

    def files(self) -> Mapping[str, bytes]:
        """tokenizer.json, and the config with which `transformers` loads it."""
        names = {"pad_token": PADS, "unk_token": UNKNOWNS, "eos_token": ENDS}
        known = {
            role: name
            for role, candidates in names.items()
            for name in candidates
            if self.backend.token_to_id(name) is not None
        }
        about = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
        }
        config = json.dumps({**about, **known}, indent=2) + "\n"
        return {
            FILE: self.backend.to_str(pretty=False).encode(),
            "tokenizer_config.json": config.encode(),
        }

    def _special(self, names: Sequence[str]) -> int | None:
        found = (self.backend.token_to_id(name) for name in names)
        return next((one for one in found if one is not None), None)


def _storable(text: str) -> str:
    """Lone surrogates cannot be UTF-8; they become the replacement character."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def from_json(content: bytes, source: str) -> HuggingFaceTokenizer:
    """The tokenizer of a tokenizer.json. Raises UsageError when it is none."""
    try:
        return HuggingFaceTokenizer(Backend.from_str(content.decode("utf-8")))
    # The library raises bare Exceptions for whatever is wrong with the file.
    except Exception as error:
        raise UsageError(f"{source} is not a tokenizer.json: {error}.") from None
