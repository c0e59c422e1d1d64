"""What `loomlm init pretrain` writes, and the rules of thumb by which it fits the text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from loomlm.plugin import DataSummary, TemplateContext
from loomlm_templates.writing import data_lines, toml_value

LONG_LINE = 200
"""Characters of a line, in the mean, from which each line is a document of its own."""

HELD_OUT = 2_000_000
"""Characters for validation at the most, so that scoring a large text stays short."""

CHARACTERS_A_TOKEN = 4

SIZES = (
    # characters up to, layers, width, context
    (2_000_000, 4, 128, 128),
    (20_000_000, 4, 256, 256),
    (200_000_000, 6, 384, 256),
    (2_000_000_000, 8, 512, 512),
    (10**15, 12, 768, 1024),
)
HEAD = 64
"""Width of an attention head, for models of 256 and wider; smaller ones have heads of 32."""


@frozen
class Fit:
    """What the rules make of a text."""

    documents: str | None
    validation: float
    by: str
    vocab_size: int
    layers: int
    width: int
    heads: int
    context: int
    batch_size: int
    steps: int
    learning_rate: float


def fit(text: DataSummary, is_plain: bool) -> Fit:
    """The rules; the comments of the config that is written say them in words.

    is_plain: whether the files are .txt, whose lines are the examples that were looked at.
    """
    characters = max(1, text.characters)
    lines = characters < LONG_LINE * max(1, text.examples)
    whole = is_plain and lines
    layers, width, context = next(rest for most, *rest in SIZES if characters <= most)
    vocab_size = min(16384, max(1024, 1 << (characters // 512).bit_length()))
    batch_size = max(8, 4096 // context)
    epoch = characters / CHARACTERS_A_TOKEN / (batch_size * context)
    return Fit(
        documents="file" if whole else None,
        validation=float(f"{min(0.1, HELD_OUT / characters):.2g}"),
        by="position" if whole else "random",
        vocab_size=vocab_size,
        layers=layers,
        width=width,
        heads=width // (HEAD if width >= 256 else 32),
        context=context,
        batch_size=batch_size,
        steps=int(min(20_000, max(500, round(6 * epoch, -2)))),
        learning_rate=float(f"{3e-3 * (128 / width) ** 0.5:.1g}"),
    )


EXAMPLE_DATA: Mapping[str, Any] = {"train": "corpus.txt"}
EXAMPLE = DataSummary(
    examples=100_000,
    labels={},
    multi_label=False,
    words={0.5: 12, 0.95: 20, 1.0: 40},
    total_words=1_200_000,
    characters=6_000_000,
    markup=0.0,
)
"""Stands in where there is no data to look at."""


def pretrain(context: TemplateContext) -> str:
    """A config for the text that was looked at, or a template to fill in."""
    text, data = context.train or EXAMPLE, dict(context.data or EXAMPLE_DATA)
    data.pop("label", None)
    fitted = fit(text, _is_plain(data))
    looked = (
        f"# Training text: {text.characters:,} characters."
        if context.train
        else "# A template: put your files into [stages.data]. With --train FILE, `loomlm init\n"
        "# pretrain` fits the numbers below to your text."
    )
    return "\n".join(
        [
            _head(context, looked),
            _tokenizer(fitted),
            _backbone(fitted),
            _stage(context, data, fitted),
            _trainer(fitted),
        ]
    )


def _is_plain(data: Mapping[str, Any]) -> bool:
    """Whether the data is .txt files whose documents nobody has told yet."""
    files = data.get("train", "")
    first = files[0] if isinstance(files, list | tuple) else files
    stem = str(first).removesuffix(".gz").removesuffix(".xz").removesuffix(".bz2")
    plain = stem.endswith(".txt") or data.get("format") == "txt"
    return plain and "documents" not in data and data.get("type", "files") == "files"


def _head(context: TemplateContext, looked: str) -> str:
    return f"""\
# Check it: loomlm config check FILE    Run it: loomlm run FILE
# Then: loomlm generate runs/{context.name} --prompt "..."
{looked}
name = {toml_value(context.name)}
seed = 17  # every random number comes from it: the same config gives the same bits
backend = {toml_value(context.backend)}
"""


def _tokenizer(fitted: Fit) -> str:
    return f"""\
[tokenizer]
type = "bpe"  # on bytes: no text is unknown to it
vocab_size = {fitted.vocab_size}  # a token for each 512 characters of text, 1,024 to 16,384
"""


def _backbone(fitted: Fit) -> str:
    return f"""\
# Larger for more text, a rule of thumb: 128 wide for up to 2 million characters, 256 for 20,
# 384 for 200, 512 for 2,000, and 768 beyond.
[backbone]
type = "transformer"
layers = {fitted.layers}
width = {fitted.width}
heads = {fitted.heads}
dropout = 0.1
"""


def _stage(context: TemplateContext, data: Mapping[str, Any], fitted: Fit) -> str:
    lines = [
        "[[stages]]",
        'name = "pretrain"',
        f'task = {{ type = "causal_lm", context = {fitted.context} }}  # tokens seen at once',
        "",
        "[stages.data]",
        *data_lines(data),
    ]
    if fitted.documents:
        lines.append(
            'documents = "file"  # lines are too short to be documents; "paragraph": up to a '
            "blank line"
        )
    if not context.has_validation:
        share, by = fitted.validation, fitted.by
        lines.append(
            f'split = {{ validation = {share}, by = "{by}" }}  # a tenth, 2 million characters at '
            "the most"
        )
    return "\n".join(lines) + "\n"


def _trainer(fitted: Fit) -> str:
    return f"""\
# Muon for the hidden matrices, AdamW for the rest; the rate falls with the root of the width.
[stages.trainer]
steps = {fitted.steps}  # six passes over the text, 500 to 20,000
batch_size = {fitted.batch_size}  # rows of {fitted.context} tokens
learning_rate = {fitted.learning_rate}
optimizer = {{ type = "muon", weight_decay = 0.05 }}
schedule = {{ type = "warmup_stable_decay", warmup = 0.02, decay = 0.3 }}
"""
