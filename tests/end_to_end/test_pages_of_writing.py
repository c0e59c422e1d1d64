"""The examples of the pages about tasks that write work as they stand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import loomlm

from ..conftest import SMALL
from ..core.test_docs import blocks

TASKS = Path(__file__).parents[2] / "docs" / "tasks"
SETTINGS = [f"trainer.{key}={value}" for key, value in SMALL.items()]


def write(page: str, number: int) -> None:
    """The config of a page, by its number, as my.toml."""
    Path("my.toml").write_text(blocks(TASKS / page, "toml")[number])


def test_the_table_of_completion_is_learnt(backend, loomlm_command):
    Path("train.csv").write_text(blocks(TASKS / "completion.md", "csv")[0])
    write("completion.md", 0)

    config = loomlm.load_config("my.toml", set=[f"backend={backend}", *SETTINGS])
    run = loomlm.run(config)

    assert run.evaluation["finetune"]["test"]["exact_match"] == 100
    done = loomlm_command("predict", "runs/asked", "wind and snow")
    (shown,) = [json.loads(block) for block in blocks(TASKS / "completion.md", "json")[:1]]
    assert json.loads(done.out).keys() == shown.keys()
    assert json.loads(done.out)["prediction"] in ("weather", "food", "sport")


@pytest.mark.one_backend
def test_the_chat_of_completion_is_learnt(backend, loomlm_command):
    chat = blocks(TASKS / "completion.md", "json")[1]
    Path("chats.jsonl").write_text(chat * 20)
    write("completion.md", 1)

    loomlm.run(loomlm.load_config("my.toml", set=[f"backend={backend}", *SETTINGS]))

    done = loomlm_command("predict", "runs/chat", "--file", "chats.jsonl")
    answers = [json.loads(line) for line in done.out.splitlines()]
    assert len(answers) == 20
    assert answers[0]["prediction"] == "Yes."
    assert answers[0]["messages"] == json.loads(chat)["messages"]
    assert loomlm_command("generate", "runs/chat", "--prompt", "Is it cold?").out == (
        "Is it cold?\nYes.\n"
    )


def test_the_text_of_causal_lm_is_read(backend, loomlm_command):
    corpus = blocks(TASKS / "causal_lm.md", "")[0]
    Path("corpus.txt").write_text(corpus * 40)
    write("causal_lm.md", 0)
    small = ["trainer.steps=3", "stages.pretrain.task.context=16", "trainer.batch_size=4"]
    small += ["backbone.width=32", "backbone.layers=1", "tokenizer.vocab_size=300"]

    config = loomlm.load_config("my.toml", set=[f"backend={backend}", *SETTINGS, *small])
    run = loomlm.run(config)

    assert run.evaluation["pretrain"]["validation"]["bits_per_byte"] > 0
    done = loomlm_command("generate", "runs/corpus", "--prompt", "rain", "--stop", ".")
    assert done.code == 0
    assert done.out.startswith("rain")
    assert "." not in done.out
