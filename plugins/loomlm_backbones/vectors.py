"""Pretrained word vectors: GloVe text, word2vec text, fastText `.vec`.

A line is a word and its numbers, parted by single spaces; word2vec and fastText have a first line
"COUNT WIDTH" besides.
"""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from loomlm.plugin import DataError, FitContext, Fitted


def read_vectors(path: Path, width: int, context: FitContext) -> Fitted:
    """Rows of `embedding.weight` for the words of the vocabulary that the file has.

    A word is looked up as it is. Raises DataError, naming the line, when the file is missing or
    is not of that width.
    """
    vocabulary = context.tokenizer.vocabulary()
    rows: list[int] = []
    values: list[np.ndarray] = []
    for line, fields in _lines(path):
        word, numbers = _parted(fields, width)
        if word not in vocabulary:
            continue
        rows.append(vocabulary[word])
        values.append(_vector(numbers, width, path, line))
    if not rows:
        raise DataError(
            f"{path} has a vector for no word of the vocabulary. Check its form (a word and its "
            'numbers a line), and that the tokenizer makes words (type = "word").'
        )
    found = np.array(rows, np.int64)
    return Fitted(
        rows={"embedding.weight": (found, np.stack(values))},
        notes=(_coverage(path, found, context),),
    )


def _coverage(path: Path, found: np.ndarray, context: FitContext) -> str:
    known = np.zeros(context.tokenizer.vocab_size, bool)
    known[found] = True
    tokens = context.tokens.values
    share = known[tokens].mean() if len(tokens) else 0.0
    return (
        f"{path.name} has vectors for {known.sum():,} of {len(known):,} words of the vocabulary, "
        f"{share:.1%} of the training text."
    )


def _parted(fields: list[str], width: int) -> tuple[str, list[str]]:
    """The word and its numbers. Some words of GloVe's largest file hold spaces themselves."""
    surplus = fields[1:-width]
    if surplus and not all(map(_is_number, surplus)):
        return " ".join(fields[:-width]), fields[-width:]
    return fields[0], fields[1:]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        with _open(path) as file:
            for number, line in enumerate(file, 1):
                fields = line.rstrip("\n ").split(" ")
                if number == 1 and len(fields) == 2:
                    continue  # word2vec's and fastText's first line
                yield number, fields
    except FileNotFoundError:
        raise DataError(f"There is no file of word vectors {path}. Check embedding.file.") from None
    except (OSError, EOFError, UnicodeDecodeError, lzma.LZMAError) as error:
        raise DataError(f"The word vectors {path} cannot be read: {error}.") from None


def _open(path: Path) -> IO[str]:
    openers = {".gz": gzip.open, ".xz": lzma.open}
    return openers.get(path.suffix, open)(path, "rt", encoding="utf-8", newline="\n")


def _vector(numbers: list[str], width: int, path: Path, line: int) -> np.ndarray:
    if len(numbers) != width:
        # The first vector tells the file's width; a later one that differs is broken.
        way_out = (
            f"Set backbone.width = {len(numbers)}, or choose another file."
            if line <= 2
            else "The file is cut off or broken there. Get it anew."
        )
        raise DataError(
            f"{path}:{line}: the vector has {len(numbers)} numbers, the backbone's width is "
            f"{width}. {way_out}"
        )
    try:
        return np.array(numbers, np.float32)
    except ValueError:
        raise DataError(f"{path}:{line}: not a word and {width} numbers.") from None
