"""The examples of the pages about tasks that point at places of a text work as they stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import loomlm

from ..conftest import SMALL
from ..core.test_docs import blocks

TASKS = Path(__file__).parents[2] / "docs" / "tasks"
SETTINGS = [f"trainer.{key}={value}" for key, value in SMALL.items()]


def run_page(page: str, backend: str, *further: str) -> Any:
    """The run of a page's first config."""
    config = blocks(TASKS / page, "toml")[0]
    if any(setting.startswith("trainer.steps") for setting in further):
        config = config.replace("epochs =", "steps =")
    Path("my.toml").write_text(config)
    return loomlm.run(
        loomlm.load_config("my.toml", set=[f"backend={backend}", *SETTINGS, *further])
    )


def test_the_questions_of_the_page_are_answered(backend, loomlm_command):
    page = TASKS / "question_answering.md"
    Path("train.json").write_text(blocks(page, "json")[0])

    run = run_page(page.name, backend)

    scores = run.evaluation["finetune"]["test"]
    assert (scores["exact_match"], scores["squad_f1"]) == (100, 100)
    shown = json.loads(blocks(page, "json")[1])
    asked = {"text": "Ada lives in London. She is a doctor.", "question": shown["question"]}
    Path("asked.jsonl").write_text(json.dumps(asked) + "\n")
    found = json.loads(loomlm_command("predict", "runs/answers", "--file", "asked.jsonl").out)
    assert found.keys() == shown.keys()
    assert (found["answer"], found["start"], found["end"]) == ("London", 13, 19)


@pytest.mark.one_backend
def test_a_question_that_lacks_is_told(backend, loomlm_command):
    page = TASKS / "question_answering.md"
    Path("train.json").write_text(blocks(page, "json")[0])
    run_page(page.name, backend, "trainer.epochs=1")

    done = loomlm_command("predict", "runs/answers", "Ada lives in London.")

    assert done.code == 2
    assert "has no 'question'" in done.err
    out = loomlm_command("evaluate", "runs/answers", "--output", "told.jsonl")
    assert out.code == 0
    lines = [json.loads(line) for line in Path("told.jsonl").read_text().splitlines()]
    assert lines[0]["reference"] == ["London"]
    assert lines[0]["question"] == "Where does Ada live?"


def test_the_names_of_the_page_are_found(backend, loomlm_command):
    page = TASKS / "token_classification.md"
    Path("train.conll").write_text(blocks(page, "")[0])

    run = run_page(page.name, backend)

    scores = run.evaluation["finetune"]["test"]
    assert (scores["entity_f1"], scores["tag_accuracy"]) == (1, 1)
    shown = json.loads(blocks(page, "json")[0])
    found = json.loads(loomlm_command("predict", "runs/names", shown["text"]).out)
    assert found.keys() == shown.keys()
    for name in ("words", "entities"):
        assert found[name][0].keys() == shown[name][0].keys()
    assert [one["text"] for one in found["entities"]] == ["Ada", "London"]
    assert [one["word"] for one in found["words"]][-2:] == ["London", "."]


@pytest.mark.one_backend
def test_lists_of_words_and_tags_are_learnt_and_streamed(backend):
    page = TASKS / "token_classification.md"
    line = blocks(page, "json")[1]
    Path("train.jsonl").write_text(line * 20)
    data = '{train="train.jsonl", test="train.jsonl", text="tokens", label="tags", streaming=true}'

    run = run_page(
        page.name,
        backend,
        f"stages.finetune.data={data}",
        "trainer.steps=40",
        "stages.finetune.task.max_tokens=4",
        "stages.finetune.task.stride=2",
    )

    assert run.evaluation["finetune"]["test"]["entity_f1"] == 1


@pytest.mark.one_backend
def test_a_sample_says_how_many_rows_a_text_is_read_through(backend, loomlm_command):
    page = TASKS / "token_classification.md"
    Path("train.conll").write_text(blocks(page, "")[0])
    Path("my.toml").write_text(blocks(page, "toml")[0])
    short = ["--set", "stages.finetune.task.max_tokens=4"]
    short += ["--set", "stages.finetune.task.stride=2", "--backend", backend]

    done = loomlm_command("data", "sample", "my.toml", "--n", "2", *short)

    assert "the first of 2 rows that the text is read through" in done.out
    assert "cut off" not in done.out
