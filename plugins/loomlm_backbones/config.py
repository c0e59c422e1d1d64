"""Config classes of the built-in backbones; no framework, no numpy."""

from pathlib import Path
from typing import Literal

from attrs import frozen

from loomlm.plugin import key


@frozen
class VectorsConfig:
    """Pretrained word vectors."""

    file: Path = key("GloVe or word2vec text, or fastText .vec; may end in .gz or .xz")
    trainable: bool = key("tune the vectors; false leaves the words' rows as they are", True)


@frozen
class MlpConfig:
    """Pooled embeddings of words and hashed n-grams, then hidden layers.

    With `ngrams = 1` and no hidden layer it is embedding, mean, softmax. With hashed n-grams it
    is the model of Joulin 2017 (fastText). With `weighting = "tfidf"` and `pooling = "root"` a
    text is its TF-IDF vector of unit length, brought down to `width` dimensions.
    """

    width: int = key("size of an embedding", 64, minimum=1)
    ngrams: int = key("longest run of words that has an embedding of its own", 1, minimum=1)
    buckets: int = key("rows that runs of two or more words are hashed to", 200_000, minimum=1)
    hidden: tuple[int, ...] = key("widths of the hidden layers", ())
    weighting: Literal["none", "tfidf"] = key(
        "what a word or n-gram counts: as often as it stands there, or, with tfidf, 1 + ln(how "
        "often) times ln((1 + texts) / (1 + texts with it)) + 1",
        "none",
    )
    pooling: Literal["mean", "root"] = key(
        "divide the weighted sum by the sum of the weights, or by the root of their squares' sum",
        "mean",
    )
    embedding_init: float = key("bound of the tables' uniform initial values", 0.05, minimum=0)
    activation: Literal["relu", "gelu", "tanh"] = key("of the hidden layers", "relu")
    word_dropout: float = key("share of words and n-grams left out", 0.0, minimum=0, maximum=0.95)
    dropout: float = key("share of the pooled vector left out", 0.0, minimum=0, maximum=0.95)
    embedding: VectorsConfig | None = key("pretrained word vectors", None)

    def __attrs_post_init__(self) -> None:
        if any(width < 1 for width in self.hidden):
            raise ValueError(f"hidden must be widths of at least 1, got {list(self.hidden)}")
