"""A small run on documents, and what is said of documents that cannot be used."""

import loomlm
import pytest

from plugin_package import MarkdownConfig
from plugin_package.source import Markdown

WORDS = {"food": ("soup", "bread", "salt"), "sport": ("goal", "match", "coach")}


@pytest.fixture
def notes(tmp_path, monkeypatch):
    """A folder of documents, a subfolder for each label."""
    monkeypatch.setenv("LOOMLM_CACHE", str(tmp_path / "cache"))
    for label, words in WORDS.items():
        folder = tmp_path / "notes" / label
        folder.mkdir(parents=True)
        for number in range(60):
            text = (
                f"---\nnumber: {number}\n---\nThe {words[number % 3]} was {number}.\n"
            )
            (folder / f"{number}.md").write_text(text, encoding="utf-8")
    return tmp_path / "notes"


def test_a_run_reads_documents_and_labels(notes, tmp_path):
    config = loomlm.load_config(
        {
            "name": "notes",
            "backend": "torch",
            "tokenizer": "word",
            "backbone": {"type": "mlp", "width": 8},
            "trainer": {
                "steps": 60,
                "batch_size": 16,
                "learning_rate": 5e-2,
                "threads": 1,
                "compile": False,
            },
            "stages": [
                {
                    "name": "finetune",
                    "task": "classification",
                    "data": {
                        "type": "plugin_component",
                        "train": str(notes),
                        "labels": True,
                        "split": {"test": 0.2},
                    },
                }
            ],
        }
    )

    run = loomlm.run(config, runs=tmp_path / "runs")

    assert run.evaluation["finetune"]["test"]["accuracy"] > 0.9
    assert set(loomlm.load_model(run.folder).labels) == set(WORDS)


def test_front_matter_is_no_text_unless_it_is_wanted(notes):
    first = next(Markdown(MarkdownConfig(notes)).examples("train"))
    whole = next(Markdown(MarkdownConfig(notes, front_matter=True)).examples("train"))

    assert first.text == "The soup was 0.\n"
    assert whole.text == "---\nnumber: 0\n---\nThe soup was 0.\n"


def test_mistakes_name_the_file_and_what_to_do(notes):
    (notes / "loose.md").write_text("In no folder.", encoding="utf-8")
    (notes / "broken.md").write_bytes(b"caf\xe9")

    with pytest.raises(
        loomlm.DataError, match=r"broken\.md is not UTF-8, from its byte 3"
    ):
        list(Markdown(MarkdownConfig(notes)).examples("train"))
    (notes / "broken.md").unlink()
    with pytest.raises(loomlm.DataError, match=r"loose\.md is in no subfolder"):
        list(Markdown(MarkdownConfig(notes, labels=True)).examples("train"))
    with pytest.raises(loomlm.DataError, match=r"no folder .*Did you mean 'notes'"):
        Markdown(MarkdownConfig(notes.with_name("note"))).fingerprint()
