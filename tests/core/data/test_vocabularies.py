"""A second tokenizer in a tokenizer's table: trained, kept, loaded, compared, and checked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import loomlm
from loomlm.config.schema import config_schema
from loomlm.data.prepare import tokenizer_digest
from loomlm.data.vocabularies import TwoVocabularies, target_of
from loomlm.errors import ConfigError, DataError, UsageError
from loomlm.registry import Registry

pytestmark = pytest.mark.one_backend

GERMAN = ["rot", "blau", "gelb", "warm", "kalt", "neu"]
ENGLISH = ["red", "blue", "yellow", "warm", "cold", "new"]


def config(backend: str, **tokenizer) -> dict:
    """A classifier on texts that have targets besides, which it does not read."""
    rows = [
        f"{a},{b},{'even' if i % 2 else 'odd'}"
        for i, (a, b) in enumerate(zip(GERMAN, ENGLISH, strict=True))
    ]
    Path("train.csv").write_text("\n".join(["text,english,label", *rows, ""]), encoding="utf-8")
    data = {"train": "train.csv", "label": "label", "fields": {"target": "english"}}
    trainer = {"steps": 2, "batch_size": 4, "compile": False, "threads": 1, "device": "cpu"}
    return {
        "name": "two",
        "backend": backend,
        "tokenizer": {"type": "word", **tokenizer},
        "backbone": {"type": "mlp", "width": 8},
        "stages": [
            {"name": "finetune", "task": "classification", "data": data, "trainer": trainer}
        ],
    }


def vocabularies(folder: Path) -> tuple[set[str], set[str]]:
    model = loomlm.load_model(folder)
    return set(model.tokenizer.vocabulary()), set(target_of(model.tokenizer).vocabulary())


def test_each_is_trained_on_its_own_texts_and_kept_with_the_model(backend):
    run = loomlm.run(config(backend, target={"type": "word"}))
    first, second = vocabularies(run.folder)

    assert {"rot", "warm"} <= first
    assert {"red", "warm"} <= second
    assert not first & {"red", "blue"}
    assert not second & {"rot", "blau"}


def test_without_it_one_is_for_both(backend):
    run = loomlm.run(config(backend))
    first, second = vocabularies(run.folder)

    assert first == second
    assert {"rot", "red"} <= first


def test_a_run_goes_on_with_both_and_with_no_others(backend):
    given = config(backend, target={"type": "word"})
    loomlm.run(given)

    assert loomlm.run(given, resume="must").evaluation is not None
    given["tokenizer"]["target"]["vocab_size"] = 5
    with pytest.raises(UsageError, match=r"--allow tokenizer\.target\.vocab_size"):
        loomlm.run(given, resume="must")


def test_a_stage_begins_with_a_model_of_the_same_two_alone(backend):
    first = loomlm.run(config(backend, target={"type": "word"}))
    other = config(backend, target={"type": "word", "vocab_size": 6})
    other["name"] = "other"
    other["stages"][0]["init_from"] = str(first.folder)

    with pytest.raises(UsageError, match="another vocabulary: 9 and 9 tokens there, 9 and 6 here"):
        loomlm.run(other)


def test_the_file_of_one_does_not_reach_the_model(backend):
    first = loomlm.run(config(backend, target={"type": "word"}))
    file = str(first.folder / "model" / "target.tokenizer.json")
    given = config(backend, target={"type": "word", "file": file})
    given["name"] = "from_file"

    run = loomlm.run(given)

    assert vocabularies(run.folder)[1] == vocabularies(first.folder)[1]
    told = json.loads((run.folder / "model" / "config.json").read_text())["tokenizer"]
    assert "file" not in told["target"]


def test_both_tell_one_from_another():
    class Fixed:
        vocab_size, pad_id, unknown_id, end_id = 9, 0, 1, None

        def __init__(self, content: bytes) -> None:
            self.content = content

        def files(self):
            return {"words": self.content}

    a, b = Fixed(b"a"), Fixed(b"b")
    pairs = [(a, a), (a, b), (b, a)]

    assert len({tokenizer_digest(TwoVocabularies(*pair)) for pair in pairs}) == 3


def test_texts_without_a_target_are_named(backend):
    given = config(backend, target={"type": "word"})
    del given["stages"][0]["data"]["fields"]

    with pytest.raises(
        DataError, match=r"tokenizer.target: .*train.csv:2 has no text to be written"
    ):
        loomlm.run(given)


def test_every_mistake_in_either_is_told_at_its_key(backend):
    given = config(backend, vocab_sise=5, target={"type": "word", "lowercase": 1})

    with pytest.raises(ConfigError) as error:
        loomlm.load_config(given)

    keys = {problem.key for problem in error.value.problems}
    assert keys == {"tokenizer.vocab_sise", "tokenizer.target.lowercase"}


def test_a_second_one_has_no_second_one(backend):
    with pytest.raises(ConfigError, match=r"tokenizer\.target: .*no `target` of its own"):
        loomlm.load_config(config(backend, target={"type": "word", "target": "word"}))


def test_the_schema_knows_it(backend):
    import jsonschema

    schema = config_schema(Registry.load())
    jsonschema.validate(config(backend, target={"type": "bpe", "vocab_size": 300}), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config(backend, target={"type": "bpe", "vocab_sise": 300}), schema)
