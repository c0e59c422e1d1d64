"""What `loomlm init classification` writes, and the rules by which it fits the data.

The rules were chosen on parts of training data: sets of 500 to 60,000 texts with 2 to 150 labels,
some with false labels mixed in; see `docs/benchmarks/README.md` for what they give on test data.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, sqrt
from typing import Any

from attrs import frozen

from loomlm.plugin import DataSummary, TemplateContext, UsageError
from loomlm_templates.gain import gain
from loomlm_templates.writing import data_lines, toml_value

BATCH_SIZE = 32
TABLE = 1 << 25
"""Most numbers in the table of n-grams: 128 MiB."""

MOST_LABELS = 20
"""From here on, as many labels as half the texts are taken for a mistake."""

LEAST = 0.35
"""Of the travel, where a closer fit gains nothing on texts left out."""

ENOUGH = 0.05
"""Where a closer fit takes this share off the error on texts left out, the whole travel pays."""

UNSPACED = 15
"""Characters a word by white space, above which a text is not written in words with spaces."""


@frozen
class Fit:
    """What the rules make of a data set."""

    spaced: bool
    vocab_size: int
    width: int
    buckets: int
    max_tokens: int
    epochs: int
    learning_rate: float
    gain: float | None
    share: float


def fit(data: DataSummary) -> Fit:
    """The rules; the comments of the config that is written say them in words."""
    labels = max(2, len(data.labels))
    examples = max(1, data.examples)
    spaced = data.characters <= UNSPACED * max(1, data.total_words)
    tokens = data.total_words if spaced else data.characters
    longest = data.words[0.95] if spaced else data.words[0.95] * data.characters // max(1, tokens)
    epochs = min(40, max(2, round(10 * sqrt(5000 / examples) * (labels / 2) ** 0.25)))
    width = 16 if labels <= 8 else 32 if labels <= 32 else 128
    # On characters the measure was off: they have it that all texts are alike.
    gained = gain(data.sample) if spaced else None
    share = 1 if gained is None else min(1, max(LEAST, gained / ENOUGH))
    travel = (
        1.1
        * share
        * (examples / 5000) ** 0.4
        * (labels / 2) ** 0.75
        * (20 * examples / max(1, tokens)) ** 0.25
        * sqrt(16 / width)
    )
    rate = 2 * travel / (epochs * ceil(examples / BATCH_SIZE))
    return Fit(
        spaced=spaced,
        vocab_size=100_000 if spaced else 20_000,
        width=width,
        buckets=_power_of_two(tokens, 1 << 18, TABLE // width),
        max_tokens=_power_of_two(ceil(1.5 * longest), 128, 4096),
        epochs=epochs,
        learning_rate=float(f"{min(rate, 0.02):.2g}"),
        gain=gained,
        share=share,
    )


def _power_of_two(number: int, lowest: int, highest: int) -> int:
    """The next power of two, within bounds."""
    return min(highest, max(lowest, 1 << max(0, number - 1).bit_length()))


def classification(context: TemplateContext) -> str:
    """A config for the data that was looked at, or a template to fill in.

    Raises UsageError for data without labels.
    """
    if context.train is None or context.data is None:
        return _config(context, EXAMPLE_DATA, EXAMPLE, has_test=True)
    if not context.train.labels:
        raise UsageError(
            "The data has no labels. Name their column with --label, or for .txt files a file of "
            "labels for each split: --data 'labels={train=\"train.labels\"}'; labels that are "
            "names of folders: --data label_from=folder."
        )
    _check_labels(context.train)
    return _config(context, context.data, context.train, context.has_test)


# A source that is looked at finds the column of the labels, or asks for it.
classification.labelled = True  # pyright: ignore[reportFunctionMemberAccess]


def _check_labels(train: DataSummary) -> None:
    """Raise UsageError for labels that no model could learn from."""
    count = len(train.labels)
    if count == 1:
        raise UsageError(
            f"All texts have the label {next(iter(train.labels))!r}; a classifier needs two labels "
            "at least. Check --label."
        )
    if count > MOST_LABELS and count > train.examples / 2:
        raise UsageError(
            f"{train.examples:,} texts have {count:,} different labels. Check --label: is it the "
            "column of the text, or of a number that each text has for itself?"
        )


EXAMPLE_DATA = {
    "train": "train.csv",
    "test": "test.csv",
    "text": "text",
    "label": "label",
}
EXAMPLE = DataSummary(
    examples=10_000,
    labels={"one": 5000, "another": 5000},
    multi_label=False,
    words={0.5: 30, 0.95: 60, 1.0: 100},
    total_words=300_000,
    characters=1_500_000,
    markup=0.0,
)
"""Stands in where there is no data to look at."""


def _config(
    context: TemplateContext, data: Mapping[str, Any], train: DataSummary, has_test: bool
) -> str:
    fitted = fit(train)
    parts = [
        _head(context, train),
        _tokenizer(fitted),
        _backbone(fitted, train),
        _stage(context, data, train, has_test),
        _task(fitted, train),
        _trainer(fitted),
    ]
    return "\n".join(parts)


def _head(context: TemplateContext, train: DataSummary) -> str:
    looked = (
        f"# {_about(train)}"
        if context.train is not None
        else "# A template: put your files and columns into [stages.data]. With --train FILE,\n"
        "# `loomlm init classification` fits the numbers below to your data."
    )
    return f"""\
# Check it: loomlm config check FILE    Run it: loomlm run FILE
{looked}
name = {toml_value(context.name)}
seed = 17  # every random number comes from it: the same config gives the same bits
backend = {toml_value(context.backend)}
"""


def _about(train: DataSummary) -> str:
    words = train.words
    counts = sorted(train.labels.values())
    kind = "sets of labels" if train.multi_label else "labels"
    spread = f", of {counts[0]:,} to {counts[-1]:,} texts each" if counts else ""
    return (
        f"Training data: {train.examples:,} texts with {len(train.labels)} {kind}{spread}.\n"
        f"# Words a text: {words[0.5]:,} in the middle, {words[0.95]:,} at 95%, "
        f"{words[1.0]:,} at most."
    )


def _tokenizer(fitted: Fit) -> str:
    if fitted.spaced:
        return f"""\
[tokenizer]
type = "word"  # words and punctuation marks; the n-grams below say what stands together
lowercase = true
vocab_size = {fitted.vocab_size}  # the most frequent ones, where there are more
"""
    return f"""\
[tokenizer]
type = "character"  # more than {UNSPACED} characters between spaces: written without them
vocab_size = {fitted.vocab_size}
"""


def _backbone(fitted: Fit, train: DataSummary) -> str:
    ngrams = 2 if fitted.spaced else 3
    tokens = "words" if fitted.spaced else "characters"
    return f"""\
# A linear model in few dimensions on the TF-IDF vectors of words and n-grams: on sets of this
# size it is as good as any that is not pretrained, and takes seconds.
[backbone]
type = "mlp"
width = {fitted.width}  # 16 for up to 8 labels, 32 for up to 32, else 128
ngrams = {ngrams}  # runs of up to {ngrams} {tokens}
buckets = {fitted.buckets}  # rows for n-grams: {tokens} in all texts, 2**18 to 128 MiB
weighting = "tfidf"  # what is rare says more, what is repeated not much more
pooling = "root"  # vectors of unit length, whatever the length of the text
embedding_init = 0.001  # near 0, so that what was hardly seen says hardly anything
"""


def _stage(
    context: TemplateContext, data: Mapping[str, Any], train: DataSummary, has_test: bool
) -> str:
    lines = [
        "[[stages]]",
        'name = "finetune"',
        'metrics = ["accuracy", "f1"]',
        "",
        "[stages.data]",
    ]
    lines += data_lines(data)
    if not has_test:
        lines.append(
            'split = { test = 0.2, by = "random", stratify = true }  # no test file: a fifth is '
            "held out"
        )
    if train.markup > 0.05:
        lines.append(
            f'clean = ["html", "whitespace"]  # {train.markup:.0%} of the texts have markup'
        )
    return "\n".join(lines) + "\n"


def _task(fitted: Fit, train: DataSummary) -> str:
    multi = (
        "multi_label = true  # each text has any number of labels\n" if train.multi_label else ""
    )
    return f"""\
[stages.task]
type = "classification"
{multi}\
max_tokens = {fitted.max_tokens}  # half as much again as the words of 95% of the texts
"""


def _trainer(fitted: Fit) -> str:
    measured = (
        "nothing could be measured here, so all of it"
        if fitted.gain is None
        else f"measured here {fitted.gain:.1%}, so {fitted.share:.0%} of it"
    )
    return f"""\
# The sum of all steps' rates says how far a weight can go, and with that how closely the model
# fits: 1.1 for 5,000 texts of 20 words with 2 labels. It goes with (texts / 5,000) ** 0.4,
# (labels / 2) ** 0.75, (20 / words a text) ** 0.25 and the square root of 16 / width.
# Where labels are mostly noise to the words it is less, down to {LEAST:.0%} of that. On up to 1,500
# texts, ridge regression says how much: all of it where a closer fit (a penalty of 0.1 for 1)
# takes {ENOUGH:.0%} off the squared error on texts left out, less in proportion;
# {measured}.
# Epochs: 10 for 5,000 texts with 2 labels; they go with the square root of 5,000 / texts and with
# (labels / 2) ** 0.25, and are at least 2 and at most 40.
[stages.trainer]
epochs = {fitted.epochs}
batch_size = {BATCH_SIZE}
learning_rate = {fitted.learning_rate}  # at first; a straight line takes it to 0
optimizer = {{ type = "adamw" }}
schedule = {{ type = "linear" }}
"""
