"""The peers that classification is measured against: fastText with bigrams, and TF-IDF bigrams
with logistic regression.

    python docs/benchmarks/peers.py fasttext FOLDER [EPOCHS]
    python docs/benchmarks/peers.py tfidf FOLDER [C]

FOLDER holds train.jsonl and test.jsonl with the keys text and label, as `sets.py` writes them. The
last line is JSON: the accuracy on test. Time the whole process: reading is part of the work.
"""

from __future__ import annotations

import json
import random
import re
import sys
import tempfile
from pathlib import Path

WORD = re.compile(r"\w+|[^\w\s]")
EPOCHS = 10
INVERSE_REGULARISATION = 10.0


def read(folder: Path, split: str) -> tuple[list[str], list[str]]:
    """Texts and labels."""
    with (folder / f"{split}.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row["text"] for row in rows], [row["label"] for row in rows]


def fasttext(folder: Path, epochs: int = EPOCHS) -> float:
    """Joulin 2017: word bigrams, 50 dimensions, learning rate 0.5, two threads."""
    import fasttext as library

    def line(text: str) -> str:
        return " ".join(WORD.findall(text.lower()))

    texts, labels = read(folder, "train")
    # It reads the file in order, epoch by epoch, and some sets are sorted by label.
    shuffled = list(zip(texts, labels, strict=True))
    random.Random(0).shuffle(shuffled)
    ids = {label: f"__label__{number}" for number, label in enumerate(sorted(set(labels)))}
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        for text, label in shuffled:
            file.write(f"{ids[label]} {line(text)}\n")
        file.flush()
        model = library.train_supervised(
            file.name, wordNgrams=2, epoch=epochs, lr=0.5, dim=50, minCount=1, thread=2, verbose=0
        )
    texts, labels = read(folder, "test")
    # The wrapper's own predict does not work with numpy 2.
    found = [model.f.predict(line(text) + "\n", 1, 0.0, "strict")[0][1] for text in texts]
    return sum(ids.get(label) == one for label, one in zip(labels, found, strict=True)) / len(texts)


def tfidf(folder: Path, inverse_regularisation: float = INVERSE_REGULARISATION) -> float:
    """Words and bigrams, sublinear counts; logistic regression until it has converged."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    texts, labels = read(folder, "train")
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = LogisticRegression(C=inverse_regularisation, max_iter=1000)
    model.fit(vectorizer.fit_transform(texts), labels)
    texts, labels = read(folder, "test")
    return float(model.score(vectorizer.transform(texts), labels))


if __name__ == "__main__":
    peer, place, *setting = sys.argv[1:]
    if peer == "fasttext":
        accuracy = fasttext(Path(place), *map(int, setting))
    else:
        accuracy = tfidf(Path(place), *map(float, setting))
    print(json.dumps({"accuracy": accuracy}))
