"""The built-in metrics: of classes, of label sets, of probabilities, of numbers; likelihood."""

from loomlm.plugin import Component, hookimpl
from loomlm_metrics.config import (
    AverageConfig,
    BleuConfig,
    CalibrationConfig,
    ChrfConfig,
    EntityConfig,
    RougeConfig,
)

loomlm_api = (1, 1)

INSTALL = 'pip install "loomlm[text-metrics]"'


@hookimpl
def loomlm_metrics() -> list[Component]:
    return [
        Component(
            kind="metric",
            name="accuracy",
            summary="share of examples that are right; label sets must be right as a whole",
            target="loomlm_metrics.classification:Accuracy",
        ),
        _averaged("precision", "share of what was predicted that is right"),
        _averaged("recall", "share of what is right that was predicted"),
        _averaged("f1", "harmonic mean of precision and recall"),
        Component(
            kind="metric",
            name="confusion_matrix",
            summary="how often each label was taken for each; a row is a reference",
            target="loomlm_metrics.classification:ConfusionMatrix",
        ),
        Component(
            kind="metric",
            name="matthews",
            summary="Matthews' correlation: 1 where all is right, 0 for what a guess would reach",
            target="loomlm_metrics.classification:Matthews",
        ),
        Component(
            kind="metric",
            name="roc_auc",
            summary="how often what has a label gets a higher probability of it than what has not",
            target="loomlm_metrics.probabilities:RocAuc",
        ),
        Component(
            kind="metric",
            name="expected_calibration_error",
            summary="how far the probability of what is predicted is from how often it is right",
            target="loomlm_metrics.probabilities:CalibrationError",
            config=CalibrationConfig,
        ),
        _of_numbers("mean_squared_error", "mean of the squared differences"),
        _of_numbers("mean_absolute_error", "mean of the absolute differences"),
        _of_numbers("pearson", "correlation of predictions with what is right"),
        _of_numbers("spearman", "correlation of their ranks"),
        Component(
            kind="metric",
            name="perplexity",
            summary="e to the mean loss of a token",
            target="loomlm_metrics.likelihood:Perplexity",
        ),
        Component(
            kind="metric",
            name="pseudo_perplexity",
            summary="e to the mean loss of a token that was hidden, of masked language models",
            target="loomlm_metrics.likelihood:PseudoPerplexity",
        ),
        Component(
            kind="metric",
            name="word_perplexity",
            summary="e to a language model's loss of a word, of those that white space parts",
            target="loomlm_metrics.likelihood:WordPerplexity",
        ),
        Component(
            kind="metric",
            name="bits_per_byte",
            summary="a language model's loss in bits, by the bytes of the text",
            target="loomlm_metrics.likelihood:BitsPerByte",
        ),
        Component(
            kind="metric",
            name="entity_f1",
            summary="F1 of the entities that the tags of words make, as seqeval computes it",
            target="loomlm_metrics.tags:EntityF1",
            config=EntityConfig,
        ),
        Component(
            kind="metric",
            name="tag_accuracy",
            summary="share of words that have the right tag",
            target="loomlm_metrics.tags:TagAccuracy",
        ),
        *_of_texts(),
    ]


def _of_texts() -> list[Component]:
    return [
        Component(
            kind="metric",
            name="bleu",
            summary="corpus BLEU of texts, through sacrebleu, with its signature",
            target="loomlm_metrics.texts:Bleu",
            config=BleuConfig,
            requires=("sacrebleu",),
            install=INSTALL,
        ),
        Component(
            kind="metric",
            name="chrf",
            summary="corpus chrF of texts, through sacrebleu, with its signature",
            target="loomlm_metrics.texts:Chrf",
            config=ChrfConfig,
            requires=("sacrebleu",),
            install=INSTALL,
        ),
        Component(
            kind="metric",
            name="rouge",
            summary="ROUGE-1, -2 and -L of texts, through rouge-score",
            target="loomlm_metrics.texts:Rouge",
            config=RougeConfig,
            requires=("rouge_score",),
            install=INSTALL,
        ),
        Component(
            kind="metric",
            name="exact_match",
            summary="texts that are right, in percent, as SQuAD's script counts them",
            target="loomlm_metrics.texts:ExactMatch",
        ),
        Component(
            kind="metric",
            name="squad_f1",
            summary="words that texts have in common with what is right, as SQuAD's script",
            target="loomlm_metrics.texts:SquadF1",
        ),
    ]


def _of_numbers(name: str, summary: str) -> Component:
    target = f"loomlm_metrics.numbers:{name}"
    return Component(kind="metric", name=name, summary=summary, target=target)


def _averaged(name: str, summary: str) -> Component:
    return Component(
        kind="metric",
        name=name,
        summary=summary,
        target=f"loomlm_metrics.classification:{name}",
        config=AverageConfig,
    )
