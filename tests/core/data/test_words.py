"""Word dropout: which tokens are replaced while training."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import loomlm
from loomlm.data.words import WordDropout
from loomlm.plugin import Batch

PAD, UNKNOWN, END = 0, 1, 2


TASK = SimpleNamespace(needs=frozenset())


def tokenizer(unknown: int | None = UNKNOWN) -> SimpleNamespace:
    return SimpleNamespace(vocab_size=50, pad_id=PAD, unknown_id=unknown, end_id=END)


@pytest.fixture
def batch() -> Batch:
    generator = np.random.default_rng(0)
    tokens = generator.integers(3, 50, (64, 40)).astype(np.int32)
    tokens[:, ::10] = END
    length = np.full(64, 40, np.int32)
    length[:32] = 20
    tokens[:32, 20:] = PAD
    return Batch({"tokens": tokens, "length": length, "label": tokens.copy()})


def test_a_share_of_the_words_becomes_unknown(batch):
    drop = WordDropout.of(0.25, TASK, tokenizer())
    after = drop(batch, seed=3, step=5)
    before, tokens = batch["tokens"], after["tokens"]
    changed = tokens != before
    assert set(tokens[changed]) == {UNKNOWN}
    assert changed[before >= 3].mean() == pytest.approx(0.25, abs=0.03)
    assert not changed[before < 3].any()
    assert np.array_equal(after["label"], batch["label"])
    assert tokens.dtype == np.int32


def test_it_is_a_function_of_seed_and_step(batch):
    drop = WordDropout.of(0.25, TASK, tokenizer())
    once, again = drop(batch, 3, 5), drop(batch, 3, 5)
    assert np.array_equal(once["tokens"], again["tokens"])
    for other in (drop(batch, 3, 6), drop(batch, 4, 5)):
        assert not np.array_equal(once["tokens"], other["tokens"])


def test_where_nothing_is_unknown_another_word_comes(batch):
    tokens = WordDropout.of(0.25, TASK, tokenizer(unknown=None))(batch, 3, 5)["tokens"]
    changed = tokens != batch["tokens"]
    assert changed[batch["tokens"] >= 3].mean() == pytest.approx(0.25, abs=0.04)
    assert {PAD, END}.isdisjoint(tokens[changed])
    assert len(set(tokens[changed])) > 30


def test_a_source_loses_words_of_its_own_vocabulary(batch):
    from loomlm.data.vocabularies import TwoVocabularies

    both = TwoVocabularies(tokenizer(), SimpleNamespace(**{**vars(tokenizer()), "unknown_id": 7}))
    task = SimpleNamespace(needs=frozenset({"encoder_decoder"}))
    source = {"source": batch["tokens"], "source_length": batch["length"]}
    after = WordDropout.of(0.25, task, both)(Batch({**batch.arrays, **source}), 3, 5)
    changed = after["source"] != batch["tokens"]
    assert set(after["source"][changed]) == {UNKNOWN}
    written = after["tokens"] != batch["tokens"]
    assert set(after["tokens"][written]) == {7}
    assert not np.array_equal(changed, written)


def test_none_is_nothing():
    assert WordDropout.of(0.0, TASK, tokenizer()) is None


@pytest.mark.one_backend
def test_a_language_model_takes_it(lm_config):
    path = lm_config(steps="4")
    losses = []
    for share in ("0.0", "0.3"):
        config = loomlm.load_config(path, set=[f"trainer.word_dropout={share}", f"name=w{share}"])
        lines = (loomlm.run(config).folder / "pretrain/metrics.jsonl").read_text().splitlines()
        losses.append(lines[0])
    assert losses[0] != losses[1]


@pytest.mark.one_backend
def test_only_training_sees_it(config_file):
    run = loomlm.run(loomlm.load_config(config_file(steps="150"), set=["trainer.word_dropout=0.5"]))
    plain = loomlm.run(loomlm.load_config(config_file(name="plain", steps="150")))
    assert run.evaluation["finetune"]["test"]["accuracy"] > 0.9
    dropped, whole = (
        (one.folder / "finetune/metrics.jsonl").read_text().splitlines()[0] for one in (run, plain)
    )
    assert dropped != whole
