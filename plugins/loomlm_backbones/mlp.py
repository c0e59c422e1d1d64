"""The `mlp` backbone: its layout, its hashed n-grams, and what it learns from texts first."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from math import sqrt

import numpy as np
from attrs import evolve, frozen

from loomlm.plugin import (
    BackboneContext,
    Batch,
    BatchField,
    BatchSpec,
    Constant,
    FitContext,
    Fitted,
    Parameter,
    Ragged,
    Tokenizer,
    Uniform,
)
from loomlm_backbones.config import MlpConfig
from loomlm_backbones.subwords import MOST, Subwords
from loomlm_backbones.vectors import read_vectors

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
MIXER = np.uint64(0xBF58476D1CE4E5B9)
CHUNK = 2000


@frozen
class Mlp:
    """Pooled rows of words and hashed n-grams, then hidden layers.

    Parameters: `embedding.weight` (vocab_size, width); `ngrams.weight` (buckets, width) where
    n-grams are asked for, and `subwords.weight` likewise; with tfidf, `embedding.idf`
    (vocab_size,), `ngrams.idf` and `subwords.idf` (buckets,), which come from the training texts
    and are not trained; `hidden.I.weight` (out, in) and `hidden.I.bias` (out,). The tables are
    sparse: a row learns when a batch touches it, that
    is, names it with a mask above 0.

    Where a row has two texts (`second` in a batch), u and v are the vectors of both, pooled alike,
    and the first layer, `compare.weight` (width, 4 width) and `compare.bias`, reads [u, v, |u - v|,
    u * v] (Conneau 2017). What stands in the second is told by `pair_word_mask` and its like; the
    token between is in neither.

    With a window: `embedding.weight`, which is not sparse, and hidden layers, the first of which
    reads (window * width,), the oldest token in front and zeros where a row has not begun. The
    batch stays as the task made it.
    """

    config: MlpConfig
    runs: Subwords | None = None

    longest = None
    free = frozenset({"embedding", "embedding_init"})

    @property
    def capabilities(self) -> frozenset[str]:
        if self.config.window is None:
            return frozenset({"sequence", "bidirectional"})
        return frozenset({"sequence", "tokens", "causal"})

    @property
    def width(self) -> int:
        return (self.config.width, *self.config.widths)[-1]

    @property
    def tied(self) -> str | None:
        fits = self.config.window is not None and self.width == self.config.width
        return "embedding.weight" if fits else None

    @property
    def threads(self) -> int | None:
        return 1 if self.config.window is None else None

    def parameters(self, context: BackboneContext) -> tuple[Parameter, ...]:
        config = self.config
        frozen_words = config.embedding is not None and not config.embedding.trainable
        layout: list[Parameter] = []
        for name, rows in self._tables(context.vocab_size):
            table = _table(f"{name}.weight", rows, config.width, config.embedding_init)
            fixed = name == "embedding" and frozen_words
            sparse = not fixed and config.window is None
            layout.append(evolve(table, trainable=not fixed, sparse=sparse))
            if config.weighting == "tfidf":
                layout.append(_fixed_ones(f"{name}.idf", rows))
        if "second" in context.fields and config.window is None:
            layout += _layer("compare", config.width, 4 * config.width)
        narrow = config.width * (config.window or 1)
        for index, wide in enumerate(config.widths):
            layout += _layer(f"hidden.{index}", wide, narrow)
            narrow = wide
        return tuple(layout)

    def _tables(self, vocab_size: int) -> list[tuple[str, int]]:
        more = [*(["ngrams"] if self.config.ngrams > 1 else [])]
        more += [] if self.config.subwords is None else ["subwords"]
        return [("embedding", vocab_size), *((name, self.config.buckets) for name in more)]

    def told(self, tokenizer: Tokenizer) -> Mlp:
        """The same with the runs of characters of a vocabulary's words."""
        config = self.config
        if config.subwords is None:
            return self
        return evolve(self, runs=Subwords.of(tokenizer, config.subwords, config.buckets))

    def batch_spec(self, spec: BatchSpec) -> BatchSpec:
        """tokens (batch, time) and word_mask; ngrams (batch, orders * time) and ngram_mask;
        subwords (batch, MOST * time) and subword_mask; of two texts, each mask as pair_... too.
        """
        if self.config.window is not None:
            return spec
        kept = tuple(field for field in spec.fields if field.name not in ("length", "second"))
        masks = ["", "pair_"] if any(f.name == "second" for f in spec.fields) else [""]
        added = [BatchField(f"{of}word_mask", "float32", ("batch", "time")) for of in masks]
        for name, times in self._further():
            form = ("batch", _times(times))
            added.append(BatchField(f"{name}s", "int32", form))
            added += [BatchField(f"{of}{name}_mask", "float32", form) for of in masks]
        sizes = [times for _, times in self._further()]
        shapes = tuple(
            {**shape, **{_times(times): times * shape["time"] for times in sizes}}
            for shape in spec.shapes
        )
        return BatchSpec(kept + tuple(added), shapes)

    def _further(self) -> list[tuple[str, int]]:
        """What is read besides the words, and how many of it come for each at most."""
        orders = self.config.ngrams - 1
        runs = [] if self.config.subwords is None else [("subword", MOST)]
        return [*([("ngram", orders)] if orders else []), *runs]

    def prepare(self, batch: Batch) -> Batch:
        """Hash the n-grams. Masks are 0 behind the text, and what stands there counts else.

        That is 1; with tfidf, 1 + ln(how often) where it stands first, and 0 where it stands again.
        """
        if self.config.window is not None:
            return batch
        tokens, left_out = batch["tokens"], ("length", "second")
        arrays = {name: array for name, array in batch.arrays.items() if name not in left_out}
        orders = range(2, self.config.ngrams + 1)
        if orders:
            rows = [hashed_ngrams(tokens, order, self.config.buckets) for order in orders]
            arrays["ngrams"] = np.concatenate(rows, axis=1)
        word = None
        if self.runs is not None:
            arrays["subwords"], word = self.runs.of_batch(tokens, batch["length"])
        for of, begins, ends in _texts(batch):
            arrays[f"{of}word_mask"] = self._mask(tokens, tokens.shape[1], [1], begins, ends)
            if orders:
                grams, time = arrays["ngrams"], tokens.shape[1]
                arrays[f"{of}ngram_mask"] = self._mask(grams, time, orders, begins, ends)
            if word is not None:
                inside = (word >= begins[:, None]) & (word < ends[:, None])
                arrays[f"{of}subword_mask"] = self._counted(arrays["subwords"], inside)
        return Batch(arrays)

    def _mask(
        self,
        rows: np.ndarray,
        time: int,
        orders: Iterable[int],
        begins: np.ndarray,
        ends: np.ndarray,
    ) -> np.ndarray:
        """What each place of rows counts, (batch, orders * time), in texts from begins to ends."""
        place = np.arange(time)
        inside = [
            (place >= begins[:, None]) & (place < ends[:, None] - order + 1) for order in orders
        ]
        return self._counted(rows, np.concatenate(inside, axis=1))

    def _counted(self, rows: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """What each place counts where something stands in it: float32, as inside."""
        mask = inside.astype(np.float32)
        return term_frequency(rows, mask) if self.config.weighting == "tfidf" else mask

    def fit(self, context: FitContext) -> Fitted:
        """Word vectors from their file, and idf weights from the training texts."""
        config = self.config
        vectors = Fitted()
        if config.embedding is not None:
            vectors = read_vectors(config.embedding.file, config.width, context)
        rows = dict(vectors.rows)
        if config.weighting == "tfidf":
            for name, size in self._tables(context.tokenizer.vocab_size):
                weights = inverse_document_frequency(context.tokens, self._rows(name, size), size)
                rows[f"{name}.idf"] = (np.arange(size), weights)
        return Fitted(rows=rows, notes=vectors.notes)

    def _rows(self, name: str, size: int) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """What gives a table's rows of some texts, as text * size + row.

        It takes the texts' tokens, end to end, and of each the text's number.
        """
        if name == "subwords":
            return partial(_rows_of_runs, self.runs, size=size)
        orders = (1,) if name == "embedding" else tuple(range(2, self.config.ngrams + 1))
        return partial(_rows_of_words, orders, size=size)


def _rows_of_runs(
    runs: Subwords | None, tokens: np.ndarray, text: np.ndarray, size: int
) -> np.ndarray:
    assert runs is not None
    rows, word = runs.of_tokens(tokens)
    return text[word] * size + rows


def _rows_of_words(
    orders: tuple[int, ...], tokens: np.ndarray, text: np.ndarray, size: int
) -> np.ndarray:
    return np.concatenate([_rows_of(tokens, text, order, size) for order in orders])


def _texts(batch: Batch) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """For each text of the rows: what its masks' names begin with, where it begins and ends."""
    length = batch["length"]
    if "second" not in batch:
        return [("", np.zeros_like(length), length)]
    second = batch["second"]
    # In front of the second stands the token that parts them. A row of padding has neither.
    return [("", np.zeros_like(length), second - 1), ("pair_", second, length)]


def _times(orders: int) -> str:
    """The symbol for that many times `time`."""
    return "time" if orders == 1 else f"{orders}*time"


def term_frequency(rows: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """1 + ln(how often) at the first place of each row of a text, else 0: float32, as mask.

    rows: (batch, places) ids. mask: 1 where one stands, 0 elsewhere.
    """
    text, place = np.nonzero(mask)
    found = rows[text, place].astype(np.int64)
    named = text * (found.max(initial=0) + 1) + found
    _, first, counts = np.unique(named, return_index=True, return_counts=True)
    frequency = np.zeros_like(mask)
    frequency[text[first], place[first]] = 1 + np.log(counts)
    return frequency


def inverse_document_frequency(
    texts: Ragged, rows_of: Callable[[np.ndarray, np.ndarray], np.ndarray], size: int
) -> np.ndarray:
    """ln((1 + texts) / (1 + texts with the row)) + 1 of each row, float32 (size,).

    rows_of: tokens and their texts to text * size + row.
    """
    found = np.zeros(size, np.int64)
    for start in range(0, len(texts), CHUNK):
        end = min(start + CHUNK, len(texts))
        bounds = texts.offsets[start : end + 1]
        tokens = np.asarray(texts.values[bounds[0] : bounds[-1]])
        text = np.repeat(np.arange(end - start), np.diff(bounds))
        rows = np.sort(rows_of(tokens, text))
        # A quarter of the time of `np.unique`, which hashes them.
        once = rows[np.append(True, rows[1:] != rows[:-1])[: len(rows)]]
        found += np.bincount(once % size, minlength=size)
    return (np.log((1 + len(texts)) / (1 + found)) + 1).astype(np.float32)


def _rows_of(tokens: np.ndarray, text: np.ndarray, order: int, size: int) -> np.ndarray:
    """text * size + row, for each n-gram that lies within a text."""
    if order == 1:
        return text * size + tokens
    rows = hashed_ngrams(tokens[None].astype(np.int32), order, size)[0]
    inside = text[: len(text) - order + 1] == text[order - 1 :]
    return (text * size + rows)[: len(inside)][inside]


def hashed_ngrams(tokens: np.ndarray, order: int, buckets: int) -> np.ndarray:
    """The row of the n-gram that starts at each place, int32 (batch, time).

    The last `order - 1` places of a row have none: what stands there means nothing.
    """
    hashed = tokens.astype(np.uint64) + np.uint64(1)
    for shift in range(1, order):
        following = np.zeros_like(hashed)
        following[:, :-shift] = tokens[:, shift:]
        hashed = hashed * MULTIPLIER + following + np.uint64(1)
    hashed ^= hashed >> np.uint64(30)
    hashed *= MIXER
    hashed ^= hashed >> np.uint64(27)
    return (hashed % np.uint64(buckets)).astype(np.int32)


def _table(name: str, rows: int, width: int, bound: float) -> Parameter:
    return Parameter(
        name=name,
        shape=(rows, width),
        init=Uniform(bound),
        role="embedding",
        decay=False,
        sparse=True,
    )


def _fixed_ones(name: str, rows: int) -> Parameter:
    return Parameter(
        name=name, shape=(rows,), init=Constant(1.0), role="vector", decay=False, trainable=False
    )


def _layer(name: str, wide: int, narrow: int) -> list[Parameter]:
    bound = Uniform(sqrt(6 / (wide + narrow)))  # Glorot and Bengio 2010
    return [
        Parameter(
            name=f"{name}.weight", shape=(wide, narrow), init=bound, role="matrix", decay=True
        ),
        Parameter(
            name=f"{name}.bias", shape=(wide,), init=Constant(0.0), role="vector", decay=False
        ),
    ]
