"""`loomlm init classification`: what it writes passes the check, fits the data, and learns."""

from __future__ import annotations

import csv
import gzip
import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import loomlm
from loomlm.plugin import DataSummary, Example
from loomlm_templates.classification import fit

pytestmark = pytest.mark.one_backend


@pytest.fixture
def init(init_template) -> Callable[..., dict]:
    """The config that `loomlm init classification` writes."""
    return partial(init_template, "classification")


@pytest.mark.each_backend
def test_the_config_for_some_files_learns_unedited(topics, init, loomlm_command):
    train, test = topics
    init("--train", train, "--test", test, "--text", "text", "--label", "label")

    assert loomlm_command("run", "my.toml").code == 0
    (evaluation,) = Path("runs").glob("*/evaluation.json")
    scores = json.loads(evaluation.read_text())["finetune"]["test"]
    assert scores["accuracy"] > 0.95
    assert scores["f1"] > 0.95


def test_without_files_it_is_a_template(init):
    written = init()

    assert written["name"] == "my-run"
    assert written["stages"][0]["data"]["train"] == "train.csv"


def test_columns_are_known_by_their_usual_names(tmp_path, init):
    (tmp_path / "reviews.tsv").write_text("sentiment\treview\n" + "pos\tgood\nneg\tbad\n" * 20)

    written = init("--train", "reviews.tsv")

    data = written["stages"][0]["data"]
    assert (data["text"], data["label"]) == ("review", "sentiment")
    assert data["split"]["test"] == 0.2
    assert written["name"] == "reviews"


def test_unknown_columns_are_asked_for(tmp_path, loomlm_command):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")

    done = loomlm_command("init", "classification", "--train", "a.csv")

    assert done.code == 2
    assert "has the columns x, y. Say which one with --text." in done.err


def test_data_without_labels_is_refused(tmp_path, loomlm_command):
    (tmp_path / "a.txt").write_text("some text\nmore text\n")

    done = loomlm_command("init", "classification", "--train", "a.txt")

    assert done.code == 2
    assert "no labels" in done.err


def test_a_header_that_only_train_has(tmp_path, init, loomlm_command):
    with gzip.open(tmp_path / "train.csv.gz", "wt", newline="") as file:
        csv.writer(file).writerows([("Class", "Title"), *[("1", "a b"), ("2", "c d")] * 20])
    with gzip.open(tmp_path / "test.csv.gz", "wt", newline="") as file:
        csv.writer(file).writerows([("1", "a b"), ("2", "c d")])

    words = ("--train", "train.csv.gz", "--test", "test.csv.gz", "--text", "Title")
    written = init(*words, "--label", "Class")

    assert written["stages"][0]["data"]["header"] == {"test": False}
    assert loomlm_command("run", "my.toml").code == 0


def test_markup_is_cleaned(tmp_path, init):
    rows = [{"text": f"one<br />two {i}", "label": str(i % 2)} for i in range(40)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    written = init("--train", "a.jsonl")

    assert written["stages"][0]["data"]["clean"] == ["html", "whitespace"]


def test_lists_of_labels_make_it_multi_label(tmp_path, init, loomlm_command):
    rows = [
        {"text": f"rain soup {i}", "labels": ["weather", "food"][: 1 + i % 2]} for i in range(50)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    written = init("--train", "a.jsonl")

    assert written["stages"][0]["task"]["multi_label"] is True
    assert loomlm_command("run", "my.toml").code == 0


def test_text_without_spaces_is_cut_into_characters(tmp_path, init):
    texts = {
        "天气": "今天下雨风很大而且非常寒冷大家都留在家里",
        "体育": "球队在比赛中进了两个球赢得了冠军教练很高兴",
    }
    rows = [
        {"text": t[i % 5 :] + t[: i % 7], "label": n} for i in range(60) for n, t in texts.items()
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    written = init("--train", "a.jsonl")

    assert written["tokenizer"]["type"] == "character"
    run = loomlm.run("my.toml")
    assert run.evaluation["finetune"]["test"]["accuracy"] > 0.95


def test_names_that_toml_must_quote(tmp_path, init):
    (tmp_path / 'a "b".csv').write_text('te\\xt,"la""bel"\n' + "x y,1\nz w,2\n" * 20)

    words = ("--train", 'a "b".csv', "--text", "te\\xt", "--label", 'la"bel')

    assert init(*words)["stages"][0]["data"]["label"] == 'la"bel'


def test_a_template_that_is_not_there(loomlm_command):
    done = loomlm_command("init", "clasification")

    assert done.code == 2
    assert "Did you mean 'classification'?" in done.err


def summary(count: int, sample: list[Example]) -> DataSummary:
    """A set of that many texts of 20 words, of which a sample is known."""
    return DataSummary(
        examples=count,
        labels={"a": count // 2, "b": count // 2},
        multi_label=False,
        words={0.5: 20, 0.95: 20, 1.0: 20},
        total_words=20 * count,
        characters=100 * count,
        markup=0.0,
        sample=tuple(sample),
    )


def test_labels_that_words_do_not_say_are_fitted_less_closely():
    told = [Example(f"{name} {i} {i % 7}", name) for i in range(200) for name in "ab"]
    draw = random.Random(1)
    noise = [Example(one.text, draw.choice("ab")) for one in told]

    whole, less, unknown = (fit(summary(5000, sample)) for sample in (told, noise, []))

    assert whole.share == 1
    assert less.share == 0.35
    assert less.learning_rate == pytest.approx(0.35 * whole.learning_rate, rel=0.05)
    assert unknown.learning_rate == whole.learning_rate


@given(
    examples=st.integers(1, 1_000_000),
    labels=st.integers(1, 300),
    words=st.integers(0, 3000),
    characters=st.integers(1, 12),
)
def test_the_rules_stay_within_reason(examples, labels, words, characters):
    fitted = fit(
        DataSummary(
            examples=examples,
            labels={str(i): 1 for i in range(labels)},
            multi_label=False,
            words={0.5: words, 0.95: words, 1.0: words},
            total_words=words * examples,
            characters=words * examples * characters,
            markup=0.0,
        )
    )

    assert 2 <= fitted.epochs <= 40
    assert 0 < fitted.learning_rate <= 0.02
    assert fitted.buckets * fitted.width * 4 <= 1 << 27
    assert 128 <= fitted.max_tokens <= 4096


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--train", "one.csv", "--label", "label"), "needs two labels"),
        (("--train", "many.csv", "--label", "text", "--text", "label"), "different labels"),
        (("--train", "many.csv", "--name", "a/b"), "--name: 'a/b'"),
        (("--train", "many.csv", "--backend", "troch"), "Did you mean 'torch'?"),
        (("--test", "many.csv", "--label", "label"), "Without --train"),
    ],
)
def test_what_could_not_run_is_not_written(tmp_path, loomlm_command, words, said):
    (tmp_path / "one.csv").write_text("text,label\n" + "good,pos\n" * 9)
    rows = "".join(f"text {i},{'pos' if i % 2 else 'neg'}\n" for i in range(60))
    (tmp_path / "many.csv").write_text(f"text,label\n{rows}")

    done = loomlm_command("init", "classification", *words)

    assert done.code == 2
    assert said in done.err
    assert done.out == ""
