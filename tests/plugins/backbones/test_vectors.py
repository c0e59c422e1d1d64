"""Word vectors from files: their forms, what is said of them, and whole runs with them."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from loomlm import load_config, load_model
from loomlm import run as loomlm_run
from loomlm.contracts import BackboneContext, Parameter
from loomlm.errors import DataError
from loomlm_backbones.config import VectorsConfig

from ..whole import fit_context

WORDS = ["<pad>", "<unk>", "rain", "wind", "größe", "absent"]
TEXTS = [[2, 3], [2, 2, 5, 4]]
VECTORS = {
    "rain": (0.5, -1.0, 0.25),
    "wind": (1e-3, 2.0, 3.0),
    "größe": (-0.125, 0.0, 7.5),
    "elsewhere": (1.0, 1.0, 1.0),
}


def lines(vectors=VECTORS) -> str:
    return "".join(f"{word} {' '.join(map(str, row))}\n" for word, row in vectors.items())


def plain(path: Path, text: str) -> None:
    path.write_bytes(text.encode())


def gzipped(path: Path, text: str) -> None:
    path.write_bytes(gzip.compress(text.encode()))


def xz(path: Path, text: str) -> None:
    path.write_bytes(lzma.compress(text.encode()))


@pytest.fixture
def fit(mlp, tmp_path: Path) -> Callable:
    """Fits the backbone of width 3 with a file of that name and text."""

    def call(text: str, name: str = "vectors.txt", write=plain, width: int = 3):
        write(tmp_path / name, text)
        backbone = mlp(width=width, embedding=VectorsConfig(tmp_path / name))
        return backbone.fit(fit_context(TEXTS, WORDS))

    return call


@pytest.mark.parametrize(
    ("name", "write", "text"),
    [
        ("glove.6B.3d.txt", plain, lines()),
        ("word2vec.txt", plain, "4 3\n" + lines()),
        ("wiki.vec", plain, "4 3\n" + lines().replace("\n", " \n")),
        ("wiki.vec.gz", gzipped, "4 3\n" + lines()),
        ("glove.txt.xz", xz, lines()),
        ("no-newline.txt", plain, lines().rstrip("\n")),
        ("windows.txt", plain, "4 3\n".replace("\n", "\r\n") + lines().replace("\n", "\r\n")),
    ],
)
def test_files_of_every_form_give_the_rows_of_the_words_they_have(fit, name, write, text):
    fitted = fit(text, name, write)

    rows, values = fitted.rows["embedding.weight"]
    assert values.dtype == np.float32
    found = {WORDS[row]: tuple(value) for row, value in zip(rows, values.tolist(), strict=True)}
    known = {word: row for word, row in VECTORS.items() if word in WORDS}
    assert found == {word: pytest.approx(row) for word, row in known.items()}


def test_a_first_line_of_two_numbers_is_no_word(mlp, tmp_path):
    plain(tmp_path / "vectors.txt", "4 3\nrain 1 2 3\n")
    backbone = mlp(width=3, embedding=VectorsConfig(tmp_path / "vectors.txt"))

    rows, _ = backbone.fit(fit_context([[1]], ["4", "rain"])).rows["embedding.weight"]

    assert rows.tolist() == [1]


def test_a_word_may_hold_spaces(fit):
    fitted = fit(f"rain name@example.org 1.0 2.0 3.0\n. . . 1.0 2.0 3.0\n{lines()}")

    rows, values = fitted.rows["embedding.weight"]
    assert list(rows) == [2, 3, 4]
    assert list(values[0]) == [0.5, -1.0, 0.25]


def test_the_note_says_how_much_is_covered(fit):
    # Three of six words; five of the six tokens.
    (note,) = fit(lines()).notes

    assert note == (
        "vectors.txt has vectors for 3 of 6 words of the vocabulary, 83.3% of the training text."
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (lines() + "absent 1 2\n", r"vectors.txt:5: the vector has 2 numbers, .*width is 3"),
        ("1 3\nrain 1 2 3 4\n", r"vectors.txt:2: the vector has 4 .*Set backbone.width = 4"),
        ("x 0 0 0\nrain 1 two 3\n", r"vectors.txt:2: not a word and 3 numbers"),
        ("elsewhere 1 2 3\n", r"vectors.txt has a vector for no word of the vocabulary"),
        ("", r"vectors.txt has a vector for no word of the vocabulary"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(fit, text, said):
    with pytest.raises(DataError, match=said):
        fit(text)


def test_files_that_cannot_be_read(fit, mlp, tmp_path):
    with pytest.raises(DataError, match=r"broken.gz cannot be read"):
        fit(lines(), "broken.gz", plain)
    missing = mlp(width=3, embedding=VectorsConfig(tmp_path / "nowhere.txt"))
    with pytest.raises(DataError, match=r"no file of word vectors .*nowhere.txt. Check embedding"):
        missing.fit(fit_context(TEXTS, WORDS))
    latin = (tmp_path / "latin.txt", lines())
    latin[0].write_bytes(latin[1].encode("latin-1"))
    with pytest.raises(DataError, match=r"latin.txt cannot be read"):
        mlp(width=3, embedding=VectorsConfig(latin[0])).fit(fit_context(TEXTS, WORDS))


def test_only_vectors_that_are_tuned_are_trained(mlp, tmp_path):
    vectors = VectorsConfig(tmp_path / "vectors.txt", trainable=False)
    context = BackboneContext(vocab_size=len(WORDS), pad_id=0, reads="sequence", causal=False)

    def table(vectors: VectorsConfig) -> Parameter:
        layout = mlp(embedding=vectors).parameters(context)
        return next(p for p in layout if p.name == "embedding.weight")

    assert not table(vectors).trainable
    assert table(evolve(vectors, trainable=True)).trainable


@pytest.mark.parametrize("trainable", ["true", "false"])
def test_a_run_starts_from_the_vectors_beside_its_config(
    config_file, loomlm_command, tmp_path, trainable
):
    words = {"rain": 0.1, "soup": -0.2, "goal": 0.3}
    rows = {word: (value,) * 16 for word, value in words.items()}
    (tmp_path / "vectors.txt").write_text(lines(rows))
    table = f'embedding = {{ file = "vectors.txt", trainable = {trainable} }}\n'
    path = config_file(steps="20")
    path.write_text(path.read_text().replace("ngrams = 2\n", table))

    done = loomlm_command("run", path)

    assert done.code == 0, done.err
    assert "vectors.txt has vectors for 3 of" in " ".join(done.err.split())
    model = load_model(tmp_path / "runs" / "small")
    weight = dict(model.engine.state("model"))["backbone.embedding.weight"]
    vocabulary = model.tokenizer.vocabulary()
    for word, value in words.items():
        moved = abs(weight[vocabulary[word]] - value).max()
        assert (moved > 1e-3) == (trainable == "true")
        assert moved < 1


@pytest.mark.one_backend
def test_a_wrong_width_stops_a_run_with_the_line(config_file, loomlm_command, tmp_path):
    (tmp_path / "vectors.txt").write_text("rain 1 2 3\n")
    settings = ["--set", 'backbone.embedding={file="vectors.txt"}']

    done = loomlm_command("run", config_file(), *settings)

    assert done.code == 2
    assert "vectors.txt:1: the vector has 3 numbers, the backbone's width is 16" in " ".join(
        done.err.split()
    )


def test_vectors_are_not_needed_after_training(config_file, tmp_path):
    (tmp_path / "vectors.txt").write_text(lines({"rain": (0.1,) * 16}))
    settings = ['backbone.embedding={file="vectors.txt"}', "trainer.steps=5"]
    run = loomlm_run(load_config(config_file(), set=settings))
    expected = run.model().predict(["rain and wind"])
    (tmp_path / "vectors.txt").unlink()

    assert load_model(run.folder).predict(["rain and wind"]) == expected
