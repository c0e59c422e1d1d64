"""Config classes of the built-in metrics."""

from typing import Literal

from attrs import frozen

from loomlm.plugin import key


@frozen
class CalibrationConfig:
    """How confidences are put together."""

    bins: int = key("equally wide bins of confidence", 15, minimum=1)


@frozen
class AverageConfig:
    """How the labels' scores become one."""

    average: Literal["macro", "micro", "weighted", "binary", "none"] = key(
        "macro: mean over labels; micro: over all decisions; weighted: by how often a label is "
        "right; binary: the score of `positive`; none: each label's score alone",
        "macro",
    )
    positive: str | None = key("the label that `binary` scores; the last one by default", None)
    per_class: bool = key("add each label's score, as e.g. `f1/World`", False)

    def __attrs_post_init__(self) -> None:
        if self.positive is not None and self.average != "binary":
            raise ValueError('positive is read with average = "binary" only.')


@frozen
class BleuConfig:
    """How BLEU sees texts."""

    tokenize: Literal["13a", "intl", "char", "zh", "none"] = key(
        "what cuts texts into words: 13a as WMT; intl by Unicode; char; zh for Chinese", "13a"
    )
    lowercase: bool = key("compare without case", False)


@frozen
class ChrfConfig:
    """How chrF sees texts."""

    word_order: int = key("the longest runs of words that count too: 0; 2 is chrF++", 0, minimum=0)
    lowercase: bool = key("compare without case", False)


@frozen
class RougeConfig:
    """How ROUGE sees texts."""

    stemmer: bool = key("compare English words by their stems (Porter 1980)", False)


@frozen
class EntityConfig:
    """Entities, by their types."""

    per_type: bool = key("add the score of each type, as e.g. `entity_f1/LOC`", True)
