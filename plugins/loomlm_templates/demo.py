"""What `loomlm demo` runs: every step once, on Python's own documentation."""

from __future__ import annotations

import json

from loomlm.plugin import TemplateContext

DEMO = """\
# Every step once, on a data set that is already here: Python's own documentation.
name = {name}
seed = 17
backend = {backend}

[tokenizer]  # trained on the first stage's text
type = "bpe"
vocab_size = 4096

[backbone]
type = "transformer"
layers = 4
width = 128
heads = 4
dropout = 0.1

# Pretraining: each token from those before it, on the topics and docstrings of Python.
[[stages]]
name = "pretrain"
task = {{ type = "causal_lm", context = 128 }}
data = {{ type = "python_docs" }}

[stages.trainer]
steps = 400
batch_size = 16
learning_rate = 3e-3
optimizer = {{ type = "muon" }}
schedule = {{ type = "cosine", warmup = 50 }}
evaluate_every = 200

# Fine-tuning: which area of the standard library a docstring is from. No file of Python's gives
# texts to more than one split, and no text of the test split was read in pretraining.
[[stages]]
name = "finetune"
init_from = "pretrain"
task = {{ type = "classification", max_tokens = 128 }}
data = {{ type = "python_docs", label = "area" }}
metrics = ["accuracy", "f1"]

[stages.trainer]
epochs = 3
batch_size = 32
learning_rate = 1e-3
optimizer = {{ type = "adamw", weight_decay = 0.05 }}
schedule = {{ type = "linear", warmup = 0.1 }}
"""


def demo(context: TemplateContext) -> str:
    """The demo's config."""
    return DEMO.format(name=json.dumps(context.name), backend=json.dumps(context.backend))
