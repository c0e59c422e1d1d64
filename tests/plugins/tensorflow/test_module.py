"""What a model is to somebody who knows Keras: summary, calls, export, fit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import loomlm
from loomlm.contracts import Batch
from loomlm_tensorflow.framework import keras, tf

pytestmark = pytest.mark.one_backend("tensorflow")

TEXTS = ["rain and wind", "soup with rice", "the team had a very long match", ""]


@pytest.fixture
def classifier(config_file):
    return loomlm.load_model(loomlm.run(config_file()).folder, backend="tensorflow")


@pytest.fixture
def writer(lm_config):
    backbone = 'backbone={type="rnn", width=16, layers=1}'
    return loomlm.run(loomlm.load_config(lm_config(steps="20"), set=[backbone])).model()


def summary(module) -> str:
    lines: list[str] = []
    module.summary(print_fn=lambda line, **_: lines.append(line))
    return "\n".join(lines)


def test_it_is_a_keras_model_whose_summary_shows_layers_and_parameters(classifier):
    module, shown = classifier.module, summary(classifier.module)

    assert isinstance(module, keras.Model)
    count = sum(array.size for _, array in classifier.engine.state("model"))
    assert f"Total params: {count:,}" in shown
    for layer, part in ((module.backbone, "backbone (Mlp)"), (module.head, "head (Dense)")):
        assert part in shown
        assert f"{layer.count_params():,}" in shown


def test_it_is_called_with_the_arrays_of_texts(classifier):
    arrays = classifier.batch(TEXTS)

    logits = classifier.module(arrays)

    assert logits.shape == (4, 3)
    assert logits.numpy() == pytest.approx(classifier.engine.forward(Batch(arrays)), abs=1e-6)
    given = {name: tf.constant(array) for name, array in arrays.items()}
    assert np.array_equal(classifier.module(given), logits)
    assert np.array_equal(classifier.module(given, training=False), logits)
    assert classifier.labels[int(logits[0].numpy().argmax())] == "weather"
    # Dropout is on where Keras trains.
    assert not np.array_equal(classifier.module(given, training=True), logits)


def test_it_is_called_with_tokens_alone_where_all_follows_from_them(writer, classifier):
    rows = writer.tokenizer.encode_many(["the rain", "so"])
    tokens = np.full((2, 12), writer.tokenizer.pad_id, np.int32)
    for row, place in zip(rows, tokens, strict=True):
        place[: len(row)] = row

    logits = writer.module(tokens).numpy()

    length = np.array([len(row) for row in rows], np.int32)
    expected = writer.engine.forward(Batch({"tokens": tokens, "length": length}))
    assert logits == pytest.approx(expected, abs=1e-6)
    with pytest.raises(
        ValueError, match=r"reads tokens, word_mask, ngrams.* ngrams.* missing. `ba"
    ):
        classifier.module(tokens)


def test_a_text_classifier_of_words_reads_tokens_alone(config_file):
    settings = ["backbone.ngrams=1", "trainer.steps=3"]
    model = loomlm.run(loomlm.load_config(config_file(), set=settings)).model()
    arrays = model.batch(TEXTS[:2])

    assert model.module(arrays["tokens"]).numpy() == pytest.approx(model.module(arrays).numpy())


SERVE = """
import sys
import numpy as np
import tensorflow as tf
arrays = dict(np.load("arrays.npz"))
served = tf.saved_model.load("saved_model")
signature = served.signatures["serving_default"]
names = signature.structured_input_signature[1]
given = {name: tf.constant(array) for name, array in arrays.items() if name in names}
np.savez("logits.npz", serve=served.serve(given), signature=next(iter(signature(**given).values())))
assert not [name for name in sys.modules if name.split(".")[0] in ("loomlm", "torch")]
"""


def test_it_is_exported_to_be_served_without_loomlm(classifier, capfd):
    classifier.module.export("saved_model", verbose=False)
    arrays = classifier.batch(TEXTS)
    np.savez("arrays.npz", **arrays)

    subprocess.run([sys.executable, "-c", SERVE], check=True, capture_output=True)

    expected = classifier.module(arrays).numpy()
    for name, logits in np.load("logits.npz").items():
        assert logits == pytest.approx(expected, abs=1e-5), name


def test_a_language_model_is_exported_for_rows_of_any_length(writer):
    writer.module.export("saved_model", verbose=False)
    served = tf.saved_model.load("saved_model")

    for texts in (["the rain"], ["so", "and the wind"]):
        arrays = writer.tokenizer.encode_many(texts)
        width = max(map(len, arrays))
        tokens = np.stack([np.pad(np.asarray(row), (0, width - len(row))) for row in arrays])
        given = {"tokens": tokens, "length": np.array([len(row) for row in arrays], np.int32)}
        expected = writer.module(given).numpy()
        found = served.serve({name: given[name] for name in writer.module.names}).numpy()
        assert found == pytest.approx(expected, abs=1e-5)


def test_keras_own_fit_trains_it_further_and_loomlm_goes_on_with_that(classifier):
    texts = ["soup", "bread", "goal", "team"] * 16
    arrays, label = classifier.batch(texts), np.array([2, 2, 0, 0] * 16)
    module, before = classifier.module, dict(classifier.engine.state("model"))
    before = {name: array.copy() for name, array in before.items()}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    module.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss, metrics=["accuracy"])

    history = module.fit(
        {name: arrays[name] for name in module.names},
        label,
        epochs=10,
        batch_size=16,
        verbose=0,
    ).history

    assert history["loss"][-1] < history["loss"][0] / 2
    after = dict(classifier.engine.state("model"))
    assert after.keys() == before.keys()
    assert not np.array_equal(
        after["backbone.embedding.weight"], before["backbone.embedding.weight"]
    )
    said = [row["label"] for row in classifier.predict(["soup", "goal"])]
    assert said == [classifier.labels[2], classifier.labels[0]]


def test_a_model_that_keras_saved_weights_of_is_the_same(classifier, tmp_path):
    path = str(tmp_path / "my.weights.h5")
    expected = classifier.engine.forward(Batch(classifier.batch(TEXTS)))
    classifier.module.save_weights(path)
    other = loomlm.load_model(Path("runs/small"))
    zeros = [(name, np.zeros_like(array)) for name, array in other.engine.state("model")]
    other.engine.load_state("model", zeros)

    other.module.load_weights(path)

    assert np.array_equal(other.engine.forward(Batch(classifier.batch(TEXTS))), expected)
