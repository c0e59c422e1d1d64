"""One pretrained decoder does a task as text: trained, scored, asked, on each backend."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import loomlm

from ..conftest import SMALL, TOPICS

CONFIG = """\
name = "asked"
backend = "{backend}"
tokenizer = {{ type = "word" }}
backbone = {{ type = "transformer", layers = 1, width = 32, heads = 2, dropout = 0.0 }}

[trainer]
batch_size = 16
learning_rate = 1e-2
{trainer}

[[stages]]
name = "pretrain"
task = {{ type = "causal_lm", context = 24 }}
data = {{ train = "corpus.txt" }}
trainer = {{ steps = 5 }}

[[stages]]
name = "finetune"
init_from = "pretrain"
task = {{ type = "completion", context = 24, max_new = 4, template = "{template}" }}
trainer = {{ steps = 120, evaluate_every = 40, keep_best = "exact_match" }}
metrics = ["exact_match", "bleu", "perplexity", "bits_per_byte"]

[stages.data]
train = "train.csv"
test = "test.csv"
text = "prompt"
fields = {{ target = "answer" }}
split = {{ validation = 0.1, seed = 1 }}
"""


def asked(count: int, seed: int) -> list[tuple[str, str]]:
    """Words of a topic, and what they are about."""
    generator = np.random.default_rng(seed)
    topics = generator.choice(list(TOPICS), count)
    return [(" ".join(generator.choice(TOPICS[topic], 4)), f"about {topic}") for topic in topics]


def write(path: Path, rows: list[tuple[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("prompt", "answer"), *rows])


@pytest.fixture
def config(tmp_path, backend) -> Path:
    train = asked(300, 1)
    write(tmp_path / "train.csv", train)
    write(tmp_path / "test.csv", asked(40, 2))
    (tmp_path / "corpus.txt").write_text("\n".join(" : ".join(row) for row in train))
    keys = "\n".join(f"{key} = {value}" for key, value in SMALL.items())
    path = tmp_path / "asked.toml"
    path.write_text(
        CONFIG.format(backend=backend, trainer=keys, template="{prompt} : {completion}")
    )
    return path


@pytest.fixture
def run(config):
    return loomlm.run(config)


def test_a_pretrained_decoder_learns_to_answer_and_is_scored_by_its_answers(
    run, tmp_path, loomlm_command
):
    scores = run.evaluation["finetune"]["test"]

    assert scores["exact_match"] > 90
    assert 0 <= scores["bleu"] <= 100
    assert "tok:13a" in scores["bleu/signature"]
    # The first word of an answer is always the same: of 2 tokens and the end, one is to be found.
    assert scores["perplexity"] < 1.4
    lines = list(map(json.loads, (run.folder / "finetune/metrics.jsonl").read_text().splitlines()))
    watched = [line["exact_match"] for line in lines if line["split"] == "validation"]
    assert len(watched) == 3
    assert watched[-1] > 80

    again = loomlm_command("evaluate", run.folder, "--json", "--output", "told.jsonl")
    assert again.code == 0, again.err
    assert json.loads(again.out)["finetune"]["test"] == pytest.approx(scores)
    told = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    assert [(one["text"], one["target"]) for one in told] == asked(40, 2)
    right = sum(one["prediction"] in one["reference"] for one in told)
    assert scores["exact_match"] == pytest.approx(100 * right / 40)

    text, answer = asked(40, 2)[0]
    (tmp_path / "asked.jsonl").write_text(json.dumps({"text": text, "id": 7}) + "\n")
    done = loomlm_command("predict", run.folder, "--file", "asked.jsonl")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["id"], found["prediction"]) == (7, told[0]["prediction"])
    assert -1 < found["score"] < 0
    model = run.model()
    assert model.generate(text) == found["prediction"]
    assert "".join(model.stream(text)) == found["prediction"]
    assert model.predict([text], max_tokens=1)[0]["prediction"] == "about"
    assert model.predict([text], beams=2)[0]["score"] == pytest.approx(found["score"], abs=1e-4)
    assert model.generate(text, stop=answer.split()[1]) == "about"
    told = loomlm_command("generate", run.folder, "--prompt", text)
    assert told.out == f"{text}\n{found['prediction']}\n"


@pytest.mark.one_backend
def test_where_no_score_of_texts_is_watched_nothing_is_written_in_training(config):
    settings = ["stages.finetune.trainer.keep_best=loss", "stages.finetune.trainer.steps=4"]
    settings += ["stages.finetune.trainer.evaluate_every=2"]
    run = loomlm.run(loomlm.load_config(config, set=settings))

    lines = list(map(json.loads, (run.folder / "finetune/metrics.jsonl").read_text().splitlines()))
    scored = [line for line in lines if line["split"] == "validation"]
    assert len(scored) == 2
    assert all("perplexity" in line and "bleu" not in line for line in scored)
    assert {"bleu", "exact_match"} <= run.evaluation["finetune"]["validation"].keys()


@pytest.mark.one_backend
def test_packed_pairs_are_learnt_and_scored_one_by_one(config, loomlm_command):
    settings = ["stages.finetune.task.packing=bfd", "trainer.batch_size=4"]
    run = loomlm.run(loomlm.load_config(config, set=settings))

    scores = run.evaluation["finetune"]["test"]
    assert scores["exact_match"] > 90
    assert loomlm_command("evaluate", run.folder, "--output", "told.jsonl").code == 0
    told = [json.loads(line) for line in Path("told.jsonl").read_text().splitlines()]
    assert [one["text"] for one in told] == [text for text, _ in asked(40, 2)]


@pytest.mark.one_backend
def test_what_is_said_of_how_to_write_goes_to_a_task_that_writes(config_file, loomlm_command):
    loomlm.run(config_file(steps="2"))

    for command in (("evaluate", "runs/small"), ("predict", "runs/small", "rain")):
        done = loomlm_command(*command, "--beams", 2)
        assert done.code == 2
        assert "beams says how to write, and" in done.err
