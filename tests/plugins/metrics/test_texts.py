"""Scores of texts, against figures of the libraries and of SQuAD's official script."""

from __future__ import annotations

import pytest
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU

from loomlm.plugin import MetricContext, NoConfig, Outcome
from loomlm_metrics.config import BleuConfig, ChrfConfig, RougeConfig
from loomlm_metrics.squad import f1, normal
from loomlm_metrics.texts import Bleu, Chrf, ExactMatch, Rouge, SquadF1

CONTEXT = MetricContext(labels=(), produces="texts")

WRITTEN = [
    "The dog bit the man.",
    "It wasn't surprising.",
    "The man had just bitten him.",
]
RIGHT = [
    ["The dog bit the man.", "The dog had bit the man."],
    ["It was not unexpected.", "No one was surprised."],
    ["The man bit him first.", "The man had bitten the dog."],
]
"""The example of sacrebleu's README, which scores 48.530827009929865 for it."""


def scored(metric, *parts):
    for predictions, references in parts:
        metric.update(Outcome(predictions, references))
    return dict(metric.compute())


def test_bleu_is_the_figure_of_sacrebleu_s_readme():
    found = scored(Bleu(BleuConfig(), CONTEXT), (WRITTEN[:1], RIGHT[:1]), (WRITTEN[1:], RIGHT[1:]))

    assert found["bleu"] == pytest.approx(48.530827009929865)
    assert found["bleu/signature"].startswith("nrefs:2|case:mixed|eff:no|tok:13a|smooth:exp|")


def test_the_signature_says_what_was_set_and_that_references_vary():
    metric = Bleu(BleuConfig(lowercase=True, tokenize="char"), CONTEXT)

    found = scored(metric, (WRITTEN[:1], [["a", "b"]]), (WRITTEN[1:2], [["a"]]))

    assert "nrefs:var|case:lc" in found["bleu/signature"]
    assert "tok:char" in found["bleu/signature"]


def test_keys_reach_sacrebleu():
    loud = [text.upper() for text in WRITTEN]
    cased, caseless = (
        scored(Bleu(BleuConfig(lowercase=lower), CONTEXT), (loud, RIGHT))["bleu"]
        for lower in (False, True)
    )
    plus = scored(Chrf(ChrfConfig(word_order=2), CONTEXT), (WRITTEN, RIGHT))

    assert cased < 5
    assert caseless == pytest.approx(
        BLEU(lowercase=True).corpus_score(loud, list(zip(*RIGHT, strict=True))).score
    )
    assert "nw:2" in plus["chrf/signature"]


def test_rouge_is_the_mean_of_the_best_of_the_texts_that_are_right():
    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"])
    pairs = list(zip(WRITTEN, RIGHT, strict=True))

    found = scored(Rouge(RougeConfig(), CONTEXT), (WRITTEN, RIGHT))

    for kind in ("rouge1", "rouge2", "rougeL"):
        best = [
            max(scorer.score(one, text)[kind].fmeasure for one in right) for text, right in pairs
        ]
        assert found[f"rouge/{kind}"] == pytest.approx(sum(best) / 3)
    assert found["rouge"] == found["rouge/rougeL"]


def test_rouge_by_stems():
    by_stems = Rouge(RougeConfig(stemmer=True), CONTEXT)

    assert scored(by_stems, (["walking dogs"], [["walked dog"]]))["rouge"] == 1
    assert scored(Rouge(RougeConfig(), CONTEXT), (["walking dogs"], [["walked dog"]]))["rouge"] == 0


@pytest.mark.parametrize(
    ("written", "right", "exact", "f1"),
    [
        ("the Denver Broncos!", ["Denver Broncos"], 100, 100),
        ("Denver", ["Denver Broncos", "Broncos"], 0, 200 / 3),
        ("an  answer", ["The answer."], 100, 100),
        ("a cat and a cat", ["cat"], 0, 50),
        ("dog", ["cat"], 0, 0),
        # The script finds no word that both have, though both are the same without articles.
        ("the", ["The"], 100, 0),
        ("", [], 100, 100),
        ("something", [], 0, 0),
    ],
)
def test_answers_are_compared_as_the_script_of_squad_does(written, right, exact, f1):
    given = ([written], [right])

    assert scored(ExactMatch(NoConfig(), CONTEXT), given) == {"exact_match": exact}
    assert scored(SquadF1(NoConfig(), CONTEXT), given) == {"squad_f1": pytest.approx(f1)}


def test_words_are_normal_as_the_script_has_it():
    assert normal("The U.S.'s  an-Example\n(thesis)") == "uss anexample thesis"
    assert f1("a b b", "b b c c") == pytest.approx(2 * 1 * 0.5 / 1.5)
