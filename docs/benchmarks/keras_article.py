"""The article's program: a text classifier in Keras, as a reader types it.

    python docs/benchmarks/keras_article.py ROWS.jsonl

It pads to a fixed length, and its mean is taken over the padding too, as without a mask it is.
Around it stands a clock alone; the last line is JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np
from sklearn.model_selection import train_test_split
from timing import mark, measured, threads

WORDS, WIDTH, LENGTH, EPOCHS, BATCH, SEED = 20000, 64, 100, 10, 32, 17

threads(1)
keras.utils.set_random_seed(SEED)

rows = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
names = sorted({row["label"] for row in rows})
texts = [row["text"] for row in rows]
labels = np.array([names.index(row["label"]) for row in rows])
train_texts, test_texts, train_labels, test_labels = train_test_split(
    texts, labels, test_size=0.2, random_state=42, stratify=labels
)

vectorize = keras.layers.TextVectorization(max_tokens=WORDS, output_sequence_length=LENGTH)
vectorize.adapt(train_texts)
train, test = np.array(vectorize(train_texts)), np.array(vectorize(test_texts))

made, ended = mark(0), []
steps = -(-len(train) // BATCH)
clock = keras.callbacks.LambdaCallback(
    on_epoch_end=lambda epoch, _: ended.append(mark((epoch + 1) * steps))
)

model = keras.Sequential(
    [
        keras.layers.Embedding(WORDS, WIDTH),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(len(names), activation="softmax"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(train, train_labels, epochs=EPOCHS, batch_size=BATCH, verbose=0, callbacks=[clock])

loss, accuracy = model.evaluate(test, test_labels, verbose=0)
score = {"test": {"loss": loss, "accuracy": accuracy}}
print(json.dumps(measured(made, ended[0], ended[-1], score)))
