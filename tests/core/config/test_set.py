"""`--set KEY=VALUE` reaches any key of a config, and says what is wrong with a wrong path."""

from __future__ import annotations

import pytest

import loomlm
from loomlm.errors import UsageError

pytestmark = pytest.mark.one_backend


def settings(path, *assignments: str):
    return loomlm.load_config(path, set=assignments).settings


def test_a_stage_is_addressed_by_its_name_or_its_number(config_file):
    path = config_file()

    by_name = settings(path, "stages.finetune.trainer.steps=7")
    by_number = settings(path, "stages.0.trainer.steps=7")

    assert by_name.stages[0].trainer.steps == 7
    assert by_name == by_number


def test_a_key_of_an_inline_table_is_changed_and_the_others_stay(config_file):
    path = config_file()

    source = settings(path, "stages.finetune.data.test=other.csv").stages[0].data.source.config

    assert source.test == path.parent / "other.csv"
    assert source.train == path.parent / "train.csv"


@pytest.mark.parametrize(
    "assignment", ["tokenizer=bpe", 'tokenizer="bpe"', 'tokenizer={type="bpe"}']
)
def test_a_component_is_given_by_its_name_or_as_a_table(config_file, assignment):
    assert settings(config_file(), assignment).tokenizer.type == "bpe"


def test_a_key_of_a_component_that_the_config_names_alone(config_file):
    task = settings(config_file(), "stages.finetune.task.multi_label=true").stages[0].task

    assert task.type == "classification"
    assert task.config.multi_label is True


def test_a_later_assignment_wins_and_a_table_can_be_made(config_file):
    run = settings(
        config_file(),
        "seed=3",
        "seed=4",
        "stages.finetune.data.split.validation=0.25",
        "trainer.early_stopping.patience=9",
    )

    assert run.seed == 4
    assert run.stages[0].data.split.validation == 0.25
    stopping = run.stages[0].trainer.early_stopping
    assert stopping is not None
    assert stopping.patience == 9


@pytest.mark.parametrize(
    ("assignment", "own"),
    [
        ("trainer.steps=9", "steps = 5"),
        ("trainer.epochs=2", "steps = 5"),
        ("trainer.optimizer.beta2=0.9", 'optimizer = "sgd"'),
    ],
)
def test_a_default_that_no_stage_takes_is_a_mistake(config_file, assignment, own):
    path = config_file()
    text = path.read_text("utf-8")
    path.write_text(f"{text}\n[stages.trainer]\n{own}\n", "utf-8")

    with pytest.raises(loomlm.ConfigError) as caught:
        settings(path, assignment)

    (problem,) = caught.value.problems
    key = own.partition(" ")[0]
    assert problem.key == ".".join(assignment.partition("=")[0].split(".")[:2])
    assert f"every stage has its own {key}. Set stages.finetune.trainer.{key}." in problem.message


def test_a_default_that_every_stage_has_already_is_none(config_file):
    path = config_file()
    text = path.read_text("utf-8")
    path.write_text(f"{text}\n[stages.trainer]\nthreads = 1\n", "utf-8")

    assert settings(path, "trainer.threads=1").stages[0].trainer.threads == 1
    with pytest.raises(loomlm.ConfigError, match=r"Set stages\.finetune\.trainer\.threads"):
        settings(path, "trainer.threads=2")


def test_a_default_that_one_stage_takes_is_none(config_file):
    path = config_file()
    text = path.read_text("utf-8")
    stage = text[text.index("[[stages]]") :].replace("finetune", "more")
    path.write_text(f"{text}\n[stages.trainer]\nsteps = 5\n\n{stage}", "utf-8")

    first, second = settings(path, "trainer.steps=9").stages

    assert (first.trainer.steps, second.trainer.steps) == (5, 9)


def test_a_text_needs_no_quotes_and_may_hold_an_equals_sign(config_file):
    run = settings(config_file(), "stages.finetune.data.label=a=b", "name = other")

    assert run.stages[0].data.source.config.label == "a=b"
    assert run.name == "other"


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("=3", "expected KEY=VALUE"),
        ("trainer..steps=3", "expected KEY=VALUE"),
        ("trainer.=3", "expected KEY=VALUE"),
        ("stages.1.name=x", "there is no '1'. Known: finetune."),
        ("trainer.steps.x=1", "'steps' is 100, not a table"),
    ],
)
def test_a_path_that_leads_nowhere(config_file, assignment, said):
    path = config_file()

    with pytest.raises(UsageError) as caught:
        loomlm.load_config(path, set=[assignment])

    assert said in str(caught.value)
    assert f"--set {assignment}" in str(caught.value)


def test_a_key_inside_a_value_is_told_as_the_assignment_s_mistake(config_file):
    with pytest.raises(loomlm.ConfigError, match="--set: name: expected a string"):
        loomlm.load_config(config_file(), set=["name.x=1"])


def test_a_key_that_no_one_knows_is_told_with_its_origin(config_file):
    with pytest.raises(loomlm.ConfigError) as caught:
        loomlm.load_config(config_file(), set=["trainr.steps=3", "stages.finetune.data.splt.by=x"])

    told = str(caught.value)
    assert "--set: trainr: there is no such key. Did you mean 'trainer'?" in told
    assert "stages.finetune.data.splt: there is no such key. Did you mean 'split'?" in told
