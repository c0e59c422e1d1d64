"""Small configs of the built-in backbones, which checks build: all that their options can do."""

from typing import Any

Trials = dict[str, dict[str, Any]]

MLP: Trials = {
    "pooled": {"width": 32, "hidden": [32]},
    "ngrams": {
        "width": 24,
        "ngrams": 2,
        "buckets": 300,
        "weighting": "tfidf",
        "pooling": "root",
        "hidden": [32, 16],
        "activation": "tanh",
    },
    "subwords": {"width": 24, "subwords": [2, 4], "buckets": 300, "weighting": "tfidf"},
    "window": {"width": 24, "window": 4, "hidden": [32, 24], "activation": "gelu"},
}

# Not with pooling = "max": where two states are nearly equal, rounding decides which one learns.
RNN: Trials = {
    "lstm": {"cell": "lstm", "layers": 2, "width": 32},
    "gru": {
        "cell": "gru",
        "layers": 2,
        "width": 32,
        "embedding": 24,
        "tied": False,
        "pooling": "last",
    },
    "bidirectional_lstm": {"cell": "lstm", "layers": 2, "width": 20, "bidirectional": True},
    "bidirectional_gru": {
        "cell": "gru",
        "layers": 2,
        "width": 20,
        "bidirectional": True,
        "pooling": "last",
    },
    "attention": {
        "encoder_decoder": True,
        "cell": "gru",
        "layers": 2,
        "encoder_layers": 1,
        "width": 20,
        "embedding": 16,
    },
}

TRANSFORMER: Trials = {
    "gpt2": {
        "layers": 2,
        "width": 32,
        "heads": 4,
        "positions": "learned",
        "max_positions": 16,
        "norm": "layernorm",
        "activation": "gelu_tanh",
        "bias": True,
        "pooling": "last",
    },
    "llama": {"layers": 2, "width": 32, "heads": 4, "kv_heads": 2, "qk_norm": True},
    "encoder": {
        "layers": 2,
        "width": 32,
        "heads": 2,
        "positions": "learned",
        "max_positions": 16,
        "norm": "layernorm",
        "norm_place": "post",
        "activation": "gelu",
        "bias": True,
        "causal": False,
        "pooling": "first",
    },
    "encoder_decoder": {
        "layers": 1,
        "encoder_layers": 2,
        "width": 32,
        "heads": 4,
        "encoder_decoder": True,
    },
}
