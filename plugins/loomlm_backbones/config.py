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
    text is its TF-IDF vector of unit length, brought down to `width` dimensions. What `subwords`
    say of a text is pooled by itself, and added.

    With `window` it reads each token with those just before it: the neural language model of
    Bengio 2003. It then has a hidden layer of `width` where no other is given, and shares its
    embedding with a head over the vocabulary if its last layer is as wide. A text's vector is the
    mean of its tokens'.
    """

    width: int = key("size of an embedding", 64, minimum=1)
    ngrams: int = key("longest run of words that has an embedding of its own", 1, minimum=1)
    subwords: tuple[int, ...] | None = key(
        "shortest and longest run of characters of a word, its ends among them, that has an "
        "embedding of its own (Bojanowski 2017), such as [2, 6]",
        None,
        minimum=1,
    )
    buckets: int = key(
        "rows that runs of two or more words are hashed to, and as many for runs of characters",
        200_000,
        minimum=1,
    )
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
    dropout: float = key(
        "share left out of the pooled vector, or the window's, and of hidden layers",
        0.0,
        minimum=0,
        maximum=0.95,
    )
    embedding: VectorsConfig | None = key("pretrained word vectors", None)
    window: int | None = key(
        "tokens that are read together, the present one and those before it, for tasks that want "
        "a vector for each token; 8, say",
        None,
        minimum=1,
    )

    def __attrs_post_init__(self) -> None:
        if any(width < 1 for width in self.hidden):
            raise ValueError(f"hidden must be widths of at least 1, got {list(self.hidden)}")
        runs = self.subwords
        if runs is not None and (len(runs) != 2 or runs[0] > runs[1]):
            raise ValueError(f"subwords are the shortest and the longest run, got {list(runs)}")
        pooled = {
            "ngrams": 1,
            "subwords": None,
            "weighting": "none",
            "pooling": "mean",
            "word_dropout": 0.0,
        }
        given = [name for name, default in pooled.items() if getattr(self, name) != default]
        if self.window is not None and given:
            raise ValueError(
                f"{' and '.join(given)} belong to the mlp that pools a whole text; leave them out, "
                "or leave out window"
            )

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the hidden layers; with a window there is at least one."""
        return self.hidden or ((self.width,) if self.window is not None else ())


@frozen
class TransformerConfig:
    """Layers of self-attention and a small network at each token (Vaswani 2017).

    By default a small Llama (Touvron 2023): rotary positions, RMSNorm in front, SwiGLU, no biases.
    At equal size and steps it learns more than GPT-2: 1.78 nats a character against 2.11 after 1000
    steps of nanoGPT's recipe for a CPU.
    GPT-2 (Radford 2019) is `positions = "learned"`, `max_positions = 1024`, `norm = "layernorm"`,
    `activation = "gelu_tanh"`, `bias = true`. Norms have an epsilon of 1e-5.

    With `encoder_decoder` it is the whole of Vaswani 2017: an encoder reads a source, and a decoder
    of `layers` writes with attention to it; the other keys are of both.
    """

    layers: int = key("how many", 4, minimum=1)
    width: int = key("size of a token's state", 256, minimum=1)
    heads: int = key("attention heads; they share the width", 4, minimum=1)
    kv_heads: int | None = key(
        "heads of keys and values, each for several of queries (Ainslie 2023); by default as many",
        None,
        minimum=1,
    )
    hidden: int | None = key(
        "width within a token's network; by default 4 * width, and with swiglu, which has three "
        "matrices for two, 8/3 * width, up to a multiple of 8",
        None,
        minimum=1,
    )
    positions: Literal["rotary", "learned"] = key(
        "turn queries and keys by their place (Su 2021), or add an embedding of the place", "rotary"
    )
    max_positions: int | None = key(
        "with learned positions: the most tokens of a row", None, minimum=1
    )
    rotary_base: float = key("the longest wave of rotary positions / 2 pi", 10_000.0, above=1)
    norm: Literal["layernorm", "rmsnorm"] = key("how states are normalised", "rmsnorm")
    norm_place: Literal["pre", "post"] = key(
        "in front of attention and network, with one more at the end, or behind each sum", "pre"
    )
    qk_norm: bool = key("normalise each head's queries and keys (Henry 2020)", False)
    activation: Literal["gelu", "gelu_tanh", "swiglu"] = key(
        "of a token's network; gelu_tanh is GPT-2's approximation", "swiglu"
    )
    bias: bool = key("give matrices and layer norms a bias", False)
    tied: bool = key("a head over the vocabulary shares the embedding", True)
    dropout: float = key(
        "share left out of embeddings, attention, and what each layer adds",
        0.0,
        minimum=0,
        maximum=0.95,
    )
    causal: Literal["auto"] | bool = key(
        "whether a token sees only those before it; auto: where the task needs that", "auto"
    )
    pooling: Literal["mean", "first", "last"] = key(
        "which states stand for a text, where the task wants one", "mean"
    )
    encoder_decoder: bool = key(
        "read a source, and write with attention to it; for tasks like translation", False
    )
    encoder_layers: int | None = key(
        "of an encoder_decoder, how many layers read the source; by default as many as layers",
        None,
        minimum=1,
    )

    def __attrs_post_init__(self) -> None:
        if self.encoder_layers is not None and not self.encoder_decoder:
            raise ValueError(
                "encoder_layers belong to an encoder_decoder; set encoder_decoder = true, or leave "
                "them out"
            )
        if self.encoder_decoder and self.causal != "auto":
            raise ValueError(
                "an encoder_decoder reads its source as a whole, and writes from left to right; "
                "leave out causal"
            )
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads cannot share a width of {self.width}")
        if self.heads % (self.kv_heads or self.heads):
            raise ValueError(f"kv_heads must divide heads, {self.heads}, got {self.kv_heads}")
        if self.positions == "rotary" and self.head_width % 2:
            raise ValueError(
                "rotary positions need heads of even width; width / heads is "
                f"{self.width} / {self.heads}"
            )
        if (self.positions == "learned") != (self.max_positions is not None):
            raise ValueError("max_positions goes with learned positions; give both or neither")

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    @property
    def sources(self) -> int:
        """Layers that read a source."""
        return self.encoder_layers or self.layers

    @property
    def inner(self) -> int:
        """The width within a token's network."""
        if self.hidden is not None:
            return self.hidden
        return -(-8 * self.width // 24) * 8 if self.activation == "swiglu" else 4 * self.width


@frozen
class RnnConfig:
    """Layers of LSTM (Hochreiter 1997) or GRU (Cho 2014) cells.

    Dropout is that of Merity 2017 (AWD-LSTM). Of states it is locked: a row keeps the same numbers
    at each of its tokens.

    With `encoder_decoder` it reads a source both ways, and writes with attention to it (Bahdanau
    2015); `layers` are then those that write.
    """

    cell: Literal["lstm", "gru"] = key("what each layer is made of", "lstm")
    layers: int = key("how many", 2, minimum=1)
    width: int = key("size of a layer's state, in each direction", 256, minimum=1)
    embedding: int | None = key("size of a token's embedding; by default width", None, minimum=1)
    bidirectional: bool = key(
        "read rows from both ends; only for tasks where a token may see those behind it", False
    )
    tied: bool = key(
        "a head over the vocabulary shares the embedding, which is then as wide as the states; "
        "not with bidirectional",
        True,
    )
    dropout: float = key(
        "share of the states left out: of inputs, between layers and of outputs",
        0.0,
        minimum=0,
        maximum=0.95,
    )
    input_dropout: float | None = key(
        "of inputs, where it is not to be dropout", None, minimum=0, maximum=0.95
    )
    layer_dropout: float | None = key("of states between layers", None, minimum=0, maximum=0.95)
    output_dropout: float | None = key("of outputs", None, minimum=0, maximum=0.95)
    weight_dropout: float = key(
        "share left out of the matrices from state to state", 0.0, minimum=0, maximum=0.95
    )
    embedding_dropout: float = key(
        "share of words of the vocabulary left out, wherever they stand in a batch",
        0.0,
        minimum=0,
        maximum=0.95,
    )
    pooling: Literal["mean", "max", "last"] = key(
        "which states stand for a text, where the task wants one", "mean"
    )
    encoder_decoder: bool = key(
        "read a source, from both ends, and write with attention to it; for tasks like translation",
        False,
    )
    encoder_layers: int | None = key(
        "of an encoder_decoder, how many read the source; by default as many as layers",
        None,
        minimum=1,
    )
    attention: Literal["bahdanau", "dot"] = key(
        "of an encoder_decoder: how a place of the source is scored, by a small network "
        "(Bahdanau 2015), or by a product with its projected state, which is faster (Luong 2015)",
        "bahdanau",
    )

    def __attrs_post_init__(self) -> None:
        if self.encoder_decoder:
            if self.bidirectional:
                raise ValueError(
                    "an encoder_decoder reads its source from both ends anyway, and cannot write "
                    "so; leave out bidirectional"
                )
            return
        given = {"encoder_layers": self.encoder_layers, "attention": self.attention}
        usual = {"encoder_layers": None, "attention": "bahdanau"}
        if more := [name for name, value in given.items() if value != usual[name]]:
            raise ValueError(
                f"{' and '.join(more)} belong to an encoder_decoder; set encoder_decoder = true, "
                "or leave them out"
            )
        if self.tied and not self.bidirectional and self.word_width != self.width:
            raise ValueError(
                f"a head cannot share embeddings of {self.word_width} with states of {self.width}; "
                "set tied = false, or leave out embedding"
            )

    @property
    def word_width(self) -> int:
        return self.embedding or self.width

    @property
    def sources(self) -> int:
        """Layers that read a source."""
        return self.encoder_layers or self.layers

    def share(self, of: Literal["input", "layer", "output"]) -> float:
        """How much of those states is left out."""
        given: float | None = getattr(self, f"{of}_dropout")
        return self.dropout if given is None else given
