"""What the mlp makes of texts: hashed n-grams, TF-IDF weights, pooled embeddings."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from loomlm.contracts import BackboneContext, Batch

from ..small import cut, state
from ..whole import collated, fit_context

WORDS = [f"w{i}" for i in range(30)]
CONTEXT = BackboneContext(vocab_size=30, pad_id=0, reads="tokens", causal=True)
TEXTS = st.lists(st.lists(st.integers(0, 29), max_size=12), min_size=1, max_size=6)
WEIGHTINGS = st.sampled_from(["none", "tfidf"])


def counted(batch: Batch, row: int, ids: str, mask: str) -> dict[int, float]:
    """What a text is to the model: ids with the sum of what they count."""
    found: Counter[int] = Counter()
    for id_, weight in zip(batch[ids][row].tolist(), batch[mask][row].tolist(), strict=True):
        if weight > 0:
            found[id_] += weight
    return dict(found)


@given(TEXTS, st.integers(1, 4), st.integers(1, 50), WEIGHTINGS, st.integers(0, 20))
def test_padding_never_matters(mlp, texts, ngrams, buckets, weighting, more):
    backbone = mlp(ngrams=ngrams, buckets=buckets, weighting=weighting)
    narrow = max(1, *map(len, texts))
    names = [("tokens", "word_mask"), ("ngrams", "ngram_mask")][: 1 if ngrams == 1 else 2]

    together = backbone.prepare(collated(texts, narrow))
    padded = backbone.prepare(collated(texts, narrow + more, len(texts) + 2))

    for row, text in enumerate(texts):
        alone = backbone.prepare(collated([text], max(1, len(text))))
        for ids, mask in names:
            expected = counted(alone, 0, ids, mask)
            assert counted(together, row, ids, mask) == pytest.approx(expected)
            assert counted(padded, row, ids, mask) == pytest.approx(expected)
    assert all(not padded[mask][len(texts) :].any() for _, mask in names)


@settings(max_examples=30)
@given(TEXTS, st.integers(1, 3), st.integers(1, 50), WEIGHTINGS)
def test_two_texts_of_a_row_are_read_as_each_by_itself(mlp, texts, ngrams, buckets, weighting):
    backbone = mlp(ngrams=ngrams, buckets=buckets, weighting=weighting)
    names = [("tokens", "word_mask"), ("ngrams", "ngram_mask")][: 1 if ngrams == 1 else 2]
    others = texts[::-1]
    rows = [[*one, 7, *other] for one, other in zip(texts, others, strict=True)]
    given_ = collated(rows, max(map(len, rows)) + 2, len(rows) + 1)
    second = np.array([*(len(one) + 1 for one in texts), 0], np.int32)

    batch = backbone.prepare(Batch({**given_.arrays, "second": second}))

    for row, both in enumerate(zip(texts, others, strict=True)):
        for text, of in zip(both, ("", "pair_"), strict=True):
            alone = backbone.prepare(collated([text], max(1, len(text))))
            for ids, mask in names:
                expected = counted(alone, 0, ids, mask)
                assert counted(batch, row, ids, f"{of}{mask}") == pytest.approx(expected)
    assert all(not batch[f"{of}{mask}"][-1].any() for of in ("", "pair_") for _, mask in names)
    assert not {"length", "second"} & batch.arrays.keys()


@given(TEXTS, st.integers(2, 4), st.integers(1, 300))
def test_every_n_gram_has_one_row_below_the_number_of_buckets(mlp, texts, ngrams, buckets):
    batch = mlp(ngrams=ngrams, buckets=buckets).prepare(collated(texts, 12))

    assert batch["ngrams"].dtype == np.int32
    assert batch["ngrams"].min() >= 0
    assert batch["ngrams"].max() < buckets
    for row, text in enumerate(texts):
        grams = sum(max(0, len(text) - order + 1) for order in range(2, ngrams + 1))
        assert batch["ngram_mask"][row].sum() == grams


def test_an_n_grams_row_is_its_own_wherever_it_stands(mlp):
    backbone = mlp(ngrams=2, buckets=2**30)

    def rows(text: list[int]) -> list[int]:
        batch = backbone.prepare(collated([text], len(text) + 1))
        return batch["ngrams"][0][batch["ngram_mask"][0] > 0].tolist()

    assert rows([3, 4]) == rows([9, 3, 4])[1:]
    pairs = list(pairwise(np.random.default_rng(0).integers(0, 30, 800).tolist()))
    by_pair = {pair: rows(list(pair))[0] for pair in pairs}
    assert len(set(by_pair.values())) == len(by_pair)
    assert by_pair.get((1, 2), 1) != by_pair.get((2, 1), 2)


def test_rows_are_spread_over_all_buckets(mlp):
    text = np.random.default_rng(0).integers(0, 5000, 20_000).tolist()
    batch = mlp(ngrams=2, buckets=1000).prepare(collated([text], len(text)))

    counts = np.bincount(batch["ngrams"][0][:-1], minlength=1000)

    assert counts.min() > 0
    assert counts.max() < 50


def vectorizer(**keys) -> TfidfVectorizer:
    return TfidfVectorizer(token_pattern=r"\S+", smooth_idf=True, lowercase=False, **keys)


@pytest.fixture
def texts() -> list[list[int]]:
    """Some words in most texts, some in few, and two in none."""
    generator = np.random.default_rng(0)
    return [
        (28 * generator.random(generator.integers(1, 15)) ** 2).astype(int).tolist()
        for _ in range(120)
    ]


def spelt(texts: list[list[int]]) -> list[str]:
    return [" ".join(WORDS[token] for token in text) for text in texts]


def test_idf_is_scikit_learns(mlp, texts):
    expected = vectorizer(vocabulary=WORDS).fit(spelt(texts)).idf_

    fitted = mlp(weighting="tfidf").fit(fit_context(texts, WORDS))

    rows, idf = fitted.rows["embedding.idf"]
    assert rows.tolist() == list(range(30))
    assert idf == pytest.approx(expected, rel=1e-6)
    assert expected[29] == pytest.approx(np.log(121) + 1)


def test_idf_of_n_grams_is_scikit_learns_where_no_two_share_a_row(mlp, texts):
    backbone = mlp(weighting="tfidf", ngrams=3, buckets=2**22)
    fitted = vectorizer(ngram_range=(2, 3)).fit(spelt(texts))

    _, idf = backbone.fit(fit_context(texts, WORDS)).rows["ngrams.idf"]

    for gram, column in list(fitted.vocabulary_.items())[::7]:
        tokens = [WORDS.index(word) for word in gram.split()]
        batch = backbone.prepare(collated([tokens], 3))
        row = batch["ngrams"][0].reshape(2, 3)[len(tokens) - 2][0]
        assert idf[row] == pytest.approx(fitted.idf_[column], rel=1e-6)


def weights(engine) -> dict[str, np.ndarray]:
    return {name.removeprefix("backbone."): value for name, value in engine.state("model")}


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
@pytest.mark.parametrize("hidden", [(), (5,), (5, 4)])
def test_without_n_grams_it_is_embedding_mean_dense(mlp, engine_around, texts, hidden, activation):
    backbone = mlp(width=6, hidden=hidden, activation=activation, embedding_init=1.0)
    engine = engine_around(backbone, fit_context(texts, WORDS))
    w = weights(engine)
    functions = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh, "gelu": gelu}

    logits = engine.forward(backbone.prepare(collated(texts, 20)))

    for text, found in zip(texts, logits, strict=True):
        vector = w["embedding.weight"][text].mean(axis=0)
        for layer in range(len(hidden)):
            vector = w[f"hidden.{layer}.weight"] @ vector + w[f"hidden.{layer}.bias"]
            vector = functions[activation](vector)
        expected = w["head.weight"] @ vector + w["head.bias"]
        assert found == pytest.approx(expected, abs=1e-5)


def gelu(x: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    return x * (1 + erf(x / np.sqrt(2))) / 2


def test_tfidf_with_root_pooling_is_scikit_learns_vector_of_unit_length(mlp, engine_around, texts):
    backbone = mlp(width=6, weighting="tfidf", pooling="root", embedding_init=1.0)
    engine = engine_around(backbone, fit_context(texts, WORDS))
    w = weights(engine)
    vectors = vectorizer(vocabulary=WORDS, sublinear_tf=True).fit_transform(spelt(texts))

    logits = engine.forward(backbone.prepare(collated(texts, 20)))

    expected = vectors @ w["embedding.weight"] @ w["head.weight"].T + w["head.bias"]
    assert logits == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("weighting", ["none", "tfidf"])
@pytest.mark.parametrize("pooling", ["mean", "root"])
def test_a_text_without_a_word_is_the_heads_bias(mlp, engine_around, texts, weighting, pooling):
    backbone = mlp(width=6, ngrams=2, buckets=10, weighting=weighting, pooling=pooling)
    engine = engine_around(backbone, fit_context(texts, WORDS))

    logits = engine.forward(backbone.prepare(collated([[], [3]], 8)))

    assert logits[0] == pytest.approx(weights(engine)["head.bias"])
    assert np.all(np.isfinite(logits))


@pytest.mark.parametrize(
    "rows",
    [
        [[3, 1, 4], [9]],  # token 0 fills the second row up
        [[3], [9]],  # no pair of words
        [[], []],
    ],
)
@pytest.mark.parametrize("pieces", [1, 2])
def test_rows_that_no_text_names_wait(small_model, rows, pieces):
    """Bit for bit: without a step of their momentum, and without decay."""
    keys = {"width": 6, "ngrams": 2, "buckets": 50}
    model = small_model("mlp", "classification", **keys)
    model.learn(model.batch([np.random.default_rng(0).integers(0, 20, 400)]), step=1)
    data = model.batch(rows, 4)
    before = state(model.engine)
    assert before["backbone.ngrams.weight.square"].all()

    model.learn(*cut(data, pieces), step=2)

    after = state(model.engine)
    assert all(np.isfinite(value).all() for value in after.values())
    for table, ids, mask in (
        ("embedding", "tokens", "word_mask"),
        ("ngrams", "ngrams", "ngram_mask"),
    ):
        named = np.unique(data[ids][data[mask] > 0])
        for slot in ("", ".mean", ".square"):
            name = f"backbone.{table}.weight{slot}"
            moved = np.flatnonzero((after[name] != before[name]).any(axis=1))
            assert moved.tolist() == named.tolist(), name


def test_a_window_is_bengios_model(small_model):
    model = small_model("mlp", width=6, window=3, hidden=(5,), activation="tanh")
    w = weights(model.engine)
    row = [3, 1, 4, 1, 5]

    logits = model.forward([row])[0]

    words = np.concatenate([np.zeros((2, 6)), w["embedding.weight"][row]])
    for place, found in enumerate(logits):
        hidden = w["hidden.0.weight"] @ words[place : place + 3].ravel() + w["hidden.0.bias"]
        assert found == pytest.approx(w["head.weight"] @ np.tanh(hidden), abs=1e-5)


def test_a_window_shares_its_embedding_where_it_fits(mlp):
    assert mlp(width=6, window=3).tied == "embedding.weight"
    assert mlp(width=6, window=3, hidden=(9, 6)).tied == "embedding.weight"
    assert mlp(width=6, window=3, hidden=(9,)).tied is None
    assert mlp(width=6).tied is None


def test_a_text_of_a_window_is_the_mean_of_its_tokens(small_model):
    model = small_model("mlp", "classification", width=6, window=3)
    tokens = small_model("mlp", width=6, window=3)
    tokens.set({n: v for n, v in model.weights().items() if not n.startswith("head")})
    rows = [[3, 1, 4], [1, 5], []]

    mean, each = model.states(rows, width=7), tokens.states(rows, width=7)

    assert mean[0] == pytest.approx(each[0, :3].mean(axis=0), abs=1e-6)
    assert mean[1] == pytest.approx(each[1, :2].mean(axis=0), abs=1e-6)
    assert not mean[2].any()


@pytest.mark.parametrize(
    "keys", [{"ngrams": 2}, {"weighting": "tfidf"}, {"pooling": "root"}, {"word_dropout": 0.1}]
)
def test_a_window_and_pooled_words_do_not_mix(mlp, keys):
    with pytest.raises(ValueError, match=f"{next(iter(keys))} belong to the mlp that pools"):
        mlp(window=4, **keys)


def test_what_an_mlp_can_do_follows_from_its_window(mlp):
    assert mlp().capabilities == {"sequence", "bidirectional"}
    assert mlp(window=2).capabilities == {"sequence", "tokens", "causal"}
    assert not any(p.sparse for p in mlp(window=2).parameters(CONTEXT))
    assert any(p.sparse for p in mlp().parameters(CONTEXT))
