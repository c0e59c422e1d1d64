"""Scores of texts beside those that are right, through the libraries that papers take them from.

An example without a text that is right is one whose answer is to be empty. A text that is right by
any of several counts as right. Memory does not grow with the examples, but for their counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from attrs import define, field

from loomlm.plugin import MetricContext, NoConfig, Outcome
from loomlm_metrics.config import BleuConfig, ChrfConfig, RougeConfig

TEXTS = frozenset({"texts"})


@define
class Corpus:
    """A score of sacrebleu (Post 2018), from sums over the segments."""

    metric: Any
    sums: list[float] = field(factory=list, init=False)
    many: set[int] = field(factory=set, init=False)

    def add(self, outcome: Outcome) -> None:
        """Count some segments; their references may be unequally many."""
        if len(outcome.predictions) == 0:
            return
        every = [[*right] or [""] for right in outcome.references]
        # What sacrebleu sums itself, a segment a row; it sums them in `corpus_score` alone, which
        # wants all texts at once.
        rows = self.metric._extract_corpus_statistics(
            list(outcome.predictions), list(zip_longest(*every))
        )
        self.many.add(self.metric.num_refs)
        for row in rows:
            self.sums = [a + b for a, b in zip_longest(self.sums, row, fillvalue=0)]

    def score(self) -> float:
        """The score in percent; 0.0 without any segment."""
        return float(self.metric._compute_score_from_stats(self.sums).score) if self.sums else 0.0

    def signature(self) -> str:
        """How it was computed, as papers state it; sacrebleu's version is in it."""
        # It knows of the last texts alone: -1 stands for unequally many.
        self.metric.num_refs = self.many.pop() if len(self.many) == 1 else -1
        self.many.add(self.metric.num_refs)
        return str(self.metric.get_signature()) if self.sums else ""


@define
class Bleu:
    """Corpus BLEU (Papineni 2002) in percent, through sacrebleu; `bleu/signature` says how."""

    config: BleuConfig
    context: MetricContext
    corpus: Corpus = field(init=False)
    accepts = TEXTS
    higher_is_better = True

    def __attrs_post_init__(self) -> None:
        from sacrebleu.metrics.bleu import BLEU

        self.corpus = Corpus(BLEU(lowercase=self.config.lowercase, tokenize=self.config.tokenize))

    def update(self, outcome: Outcome) -> None:
        """Take in n texts, and for each of them those that are right."""
        self.corpus.add(outcome)

    def compute(self) -> Mapping[str, Any]:
        return {"bleu": self.corpus.score(), "bleu/signature": self.corpus.signature()}


@define
class Chrf:
    """Corpus chrF (Popović 2015) in percent, through sacrebleu; `chrf/signature` says how."""

    config: ChrfConfig
    context: MetricContext
    corpus: Corpus = field(init=False)
    accepts = TEXTS
    higher_is_better = True

    def __attrs_post_init__(self) -> None:
        from sacrebleu.metrics.chrf import CHRF

        lowercase = self.config.lowercase
        self.corpus = Corpus(CHRF(word_order=self.config.word_order, lowercase=lowercase))

    def update(self, outcome: Outcome) -> None:
        """Take in n texts, and for each of them those that are right."""
        self.corpus.add(outcome)

    def compute(self) -> Mapping[str, Any]:
        return {"chrf": self.corpus.score(), "chrf/signature": self.corpus.signature()}


@define
class Means:
    """The mean of several scores of an example."""

    names: Sequence[str]
    sums: list[float] = field(init=False)
    count: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.sums = [0.0] * len(self.names)

    def add(self, scores: Sequence[float]) -> None:
        """Count an example's scores, in the order of the names."""
        self.sums = [total + score for total, score in zip(self.sums, scores, strict=True)]
        self.count += 1

    def scores(self) -> dict[str, float]:
        """Each mean by its name; 0.0 without any example."""
        return {
            name: total / self.count if self.count else 0.0
            for name, total in zip(self.names, self.sums, strict=True)
        }


KINDS = ("rouge1", "rouge2", "rougeL")


@define
class Rouge:
    """ROUGE (Lin 2004), the mean F of the examples from 0 to 1, as Google's rouge-score computes
    it; of several texts that are right, the best counts. `rouge` is ROUGE-L.
    """

    config: RougeConfig
    context: MetricContext
    means: Means = field(init=False)
    scorer: Any = field(init=False)
    accepts = TEXTS
    higher_is_better = True

    def __attrs_post_init__(self) -> None:
        from rouge_score.rouge_scorer import RougeScorer

        self.means = Means(KINDS)
        self.scorer = RougeScorer(KINDS, use_stemmer=self.config.stemmer)

    def update(self, outcome: Outcome) -> None:
        """Take in n texts, and for each of them those that are right."""
        for text, right in zip(outcome.predictions, outcome.references, strict=True):
            if not right:
                self.means.add([float(not text.strip())] * len(KINDS))
                continue
            found = self.scorer.score_multi(list(right), text)
            self.means.add([found[kind].fmeasure for kind in KINDS])

    def compute(self) -> Mapping[str, Any]:
        """`rouge`, and each kind as e.g. `rouge/rouge2`."""
        each = self.means.scores()
        return {"rouge": each["rougeL"], **{f"rouge/{kind}": each[kind] for kind in KINDS}}


@define
class ExactMatch:
    """How many texts are one of those that are right, in percent, as the script of SQuAD v1.1."""

    config: NoConfig
    context: MetricContext
    means: Means = field(factory=lambda: Means(("exact_match",)), init=False)
    accepts = TEXTS
    higher_is_better = True

    def update(self, outcome: Outcome) -> None:
        """Take in n texts, and for each of them those that are right."""
        from loomlm_metrics.squad import exact, over_all

        for text, right in zip(outcome.predictions, outcome.references, strict=True):
            self.means.add([100 * over_all(exact, text, right)])

    def compute(self) -> Mapping[str, Any]:
        return self.means.scores()


@define
class SquadF1:
    """The mean F1 of the words of texts and of those that are right, in percent, as the script of
    SQuAD v1.1.
    """

    config: NoConfig
    context: MetricContext
    means: Means = field(factory=lambda: Means(("squad_f1",)), init=False)
    accepts = TEXTS
    higher_is_better = True

    def update(self, outcome: Outcome) -> None:
        """Take in n texts, and for each of them those that are right."""
        from loomlm_metrics.squad import f1, over_all

        for text, right in zip(outcome.predictions, outcome.references, strict=True):
            self.means.add([100 * over_all(f1, text, right)])

    def compute(self) -> Mapping[str, Any]:
        return self.means.scores()
