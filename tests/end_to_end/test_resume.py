"""A run that goes on in another world: what differs is listed, and refused unless it is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.numpy import load_file

import loomlm
from loomlm.contracts import CheckpointSaved
from loomlm.errors import LoomlmError
from loomlm.plugin import hookimpl
from loomlm.training import environment

pytestmark = pytest.mark.one_backend

STEPS = "stages.finetune.trainer.steps"


class StopAt:
    """Ends a run behind the checkpoint of a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    @hookimpl
    def loomlm_checkpoint_saved(self, event: CheckpointSaved) -> None:
        if event.step == self.step:
            raise LoomlmError("stopped")


@pytest.fixture
def stopped(config_file) -> Path:
    """The config of a run that was stopped at step 8 of 12."""
    path = config_file(steps="12", checkpoint_every="4")
    with pytest.raises(LoomlmError, match="stopped"):
        loomlm.run(path, observers=[StopAt(8)])
    return path


def lines(stage: str = "finetune") -> list[dict]:
    text = Path("runs/small", stage, "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def steps() -> list[int]:
    return [line["step"] for line in lines() if line["split"] == "train"]


def changes() -> list[dict]:
    text = Path("runs/small/resumed.jsonl").read_text()
    return [one for line in text.splitlines() for one in json.loads(line)["differences"]]


def contents(folder: Path) -> dict[str, bytes]:
    """A run's files, but for locks."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "lock" not in path.name
    }


def resume(command, path: Path, *words: object):
    return command("run", path, "--resume", *words)


def refused(command, path: Path, name: str, *words: object) -> str:
    """What is said of a run that is refused for one difference alone, whatever else is allowed."""
    before = contents(Path("runs/small"))
    done = resume(command, path, *words)
    others = ["library.torch", "stages.finetune.trainer.device", "data.pretrain"]
    allowed = [word for other in others if other != name for word in ("--allow", other)]
    again = resume(command, path, *words, *allowed)

    assert done.code == again.code == 2
    assert f"  {name}: " in done.err
    assert f"--resume --allow {name}\n" in done.err
    assert again.err.partition("Error: ")[2] == done.err.partition("Error: ")[2]
    assert contents(Path("runs/small")) == before
    return done.err


def test_nothing_that_differs_is_nothing_to_allow(stopped, loomlm_command):
    before = Path("runs/small/environment.json").read_bytes()
    done = resume(loomlm_command, stopped)

    assert done.code == 0
    assert "may not be" not in done.err
    assert not Path("runs/small/resumed.jsonl").exists()
    assert "went on with changes" not in Path("runs/small/model/README.md").read_text()
    assert Path("runs/small/environment.json").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        (STEPS, "trainer.steps=16"),
        ("stages.finetune.trainer.batch_size", "trainer.batch_size=8"),
        ("stages.finetune.trainer.learning_rate", "trainer.learning_rate=1e-3"),
        ("backbone.dropout", "backbone.dropout=0.3"),
        ("seed", "seed=18"),
    ],
)
def test_a_key_of_the_config_is_allowed_by_its_name(stopped, loomlm_command, name, setting):
    refused(loomlm_command, stopped, name, "--set", setting)

    done = resume(loomlm_command, stopped, "--set", setting, "--allow", name)

    assert done.code == 0, done.err
    assert f"unbroken run would give: {name}: " in done.err
    assert [one["name"] for one in changes()] == [name]
    assert steps() == list(range(1, 17 if name == STEPS else 13))
    assert f"| finetune 8 | {name} |" in Path("runs/small/model/README.md").read_text()
    # From now on that is the run.
    assert resume(loomlm_command, stopped, "--set", setting).code == 0
    assert f"{name}: " in resume(loomlm_command, stopped).err


@pytest.mark.parametrize("group", ["trainer.batch_size", "stages.finetune.trainer", "stages"])
def test_a_table_or_a_key_of_all_stages_can_be_named(stopped, loomlm_command, group):
    done = resume(loomlm_command, stopped, "--set", "trainer.batch_size=8", "--allow", group)

    assert done.code == 0, done.err


def test_all_that_differs_is_told_at_once(stopped, loomlm_command, monkeypatch):
    edit_data()
    monkeypatch.setattr(environment, "cpu", lambda: "abacus")
    settings = ["--set", "trainer.batch_size=8", "--set", "backbone.width=8"]
    done = resume(loomlm_command, stopped, *settings, "--allow", "machine")

    assert done.code == 2
    for name in ("stages.finetune.trainer.batch_size", "backbone.width", "data.finetune"):
        assert f"  {name}: " in done.err
    assert "machine.cpu: " in done.err and "'abacus' now" in done.err
    assert "backbone.width: 16 there, 8 now (cannot be allowed: " in done.err
    assert "--overwrite" in done.err and "--set name=" in done.err


def edit_data() -> None:
    """A file of data with another line, of words and a label that are known."""
    path = Path("train.csv")
    path.write_text(path.read_text() + "rain and wind today,weather\n")


def test_other_data_is_allowed_by_its_stage(stopped, loomlm_command):
    edit_data()
    said = refused(loomlm_command, stopped, "data.finetune")
    assert "data.finetune: 'content" in said

    done = resume(loomlm_command, stopped, "--allow", "data")

    assert done.code == 0, done.err
    assert [one["name"] for one in changes()] == ["data.finetune"]
    assert steps() == list(range(1, 13))
    assert resume(loomlm_command, stopped).code == 0


def test_other_data_leaves_a_run_its_vocabulary(stopped, loomlm_command):
    before = Path("runs/small/tokenizer/tokenizer.json").read_bytes()
    path = Path("train.csv")
    path.write_text(path.read_text() + "zebras wear pyjamas,weather\n" * 50)

    done = resume(loomlm_command, stopped, "--allow", "data.finetune")

    assert done.code == 0, done.err
    assert Path("runs/small/tokenizer/tokenizer.json").read_bytes() == before
    assert Path("runs/small/model/tokenizer.json").read_bytes() == before


def test_epochs_of_other_data_are_other_steps(config_file, loomlm_command):
    path = config_file(epochs="1", checkpoint_every="4")
    with pytest.raises(LoomlmError, match="stopped"):
        loomlm.run(path, observers=[StopAt(8)])
    file = Path("train.csv")
    file.write_text(file.read_text() + "rain and wind today,weather\n" * 160)

    done = resume(loomlm_command, path, "--allow", "data.finetune")

    assert done.code == 0, done.err
    assert "stages.finetune.trainer.epochs: '25 steps' there, '35 steps' now" in done.err
    assert [one["name"] for one in changes()] == ["data.finetune", "stages.finetune.trainer.epochs"]
    assert steps() == list(range(1, 36))


def test_another_label_does_not_fit(stopped, loomlm_command):
    path = Path("train.csv")
    path.write_text(path.read_text() + "rain and wind today,news\n")

    done = resume(loomlm_command, stopped, "--allow", "data", "--allow", "labels")

    assert done.code == 2
    assert "labels.finetune: '3 labels" in done.err
    assert "(cannot be allowed: the model has weights for each label)" in done.err


def test_a_vocabulary_of_another_size_does_not_fit(stopped, loomlm_command):
    words = ["--set", "tokenizer.vocab_size=20"]
    refused(loomlm_command, stopped, "tokenizer.vocab_size", *words)

    allowed = ["--allow", "tokenizer", "--allow", "vocabulary"]
    done = resume(loomlm_command, stopped, *words, *allowed)

    assert done.code == 2
    assert "vocabulary: '" in done.err
    assert "(cannot be allowed: the model has weights for each token)" in done.err
    assert resume(loomlm_command, stopped).code == 0


def test_another_optimizer_does_not_fit(stopped, loomlm_command):
    words = ["--set", "trainer.optimizer.type=sgd", "--allow", "trainer.optimizer"]
    done = resume(loomlm_command, stopped, *words)

    assert done.code == 2
    assert "finetune: its optimizer has kept " in done.err
    assert resume(loomlm_command, stopped).code == 0


@pytest.mark.one_backend("torch")
def test_a_library_of_another_version(stopped, loomlm_command, monkeypatch):
    version = environment.metadata.version
    monkeypatch.setattr(
        environment.metadata, "version", lambda name: "0.1" if name == "numpy" else version(name)
    )
    assert "'0.1' now" in refused(loomlm_command, stopped, "library.numpy")

    assert resume(loomlm_command, stopped, "--allow", "library").code == 0
    known = json.loads(Path("runs/small/environment.json").read_text())
    assert known["libraries"]["numpy"] == "0.1"


def test_what_is_not_used_may_be_of_any_version(stopped, loomlm_command, monkeypatch):
    version = environment.metadata.version
    for name in ("safetensors", "tensorboard"):
        monkeypatch.setattr(
            environment.metadata, "version", lambda one, n=name: "0.1" if one == n else version(one)
        )
    assert resume(loomlm_command, stopped).code == 0


PLUGIN = """
from loomlm.plugin import Component, hookimpl

loomlm_api = (1, 1)

class Mine:
    def __init__(self, config):
        pass

    def __call__(self, text):
        return text.{does}()

@hookimpl
def loomlm_cleaners():
    return [Component(kind="cleaner", name="mine", summary="s", target=f"{{__name__}}:Mine")]
"""


def test_a_plugin_of_other_code(config_file, loomlm_command):
    plugin = Path("mine.py")
    plugin.write_text(PLUGIN.format(does="strip"))
    path = config_file(steps="12", checkpoint_every="4")
    text = path.read_text().replace('label = "label" }', 'label = "label", clean = ["mine"] }')
    path.write_text(f"plugins = ['mine.py']\n{text}")
    with pytest.raises(LoomlmError, match="stopped"):
        loomlm.run(path, observers=[StopAt(8)])

    plugin.write_text(PLUGIN.format(does="rstrip"))
    assert "code " in refused(loomlm_command, path, "plugin.mine.py")
    done = resume(loomlm_command, path, "--allow", "plugin.mine.py")

    assert done.code == 0, done.err
    assert [one["name"] for one in changes()] == ["plugin.mine.py"]


def test_precision_and_back(stopped, loomlm_command):
    name = "stages.finetune.trainer.precision"
    for precision, end in (("fp16", 10), ("fp32", 14)):
        words = ["--set", f'trainer.precision="{precision}"', "--set", f"trainer.steps={end}"]
        done = resume(loomlm_command, stopped, *words, "--allow", STEPS, "--allow", name)
        assert done.code == 0, done.err
    assert steps() == list(range(1, 15))


@pytest.mark.each_backend
def test_a_run_that_has_ended_is_trained_longer(config_file, loomlm_command):
    path = config_file(steps="12", schedule='{ type = "constant" }')
    loomlm.run(path)
    through = loomlm.run(loomlm.load_config(path, set=["trainer.steps=20"]), runs="through")
    assert STEPS in refused(loomlm_command, path, STEPS, "--set", "trainer.steps=20")

    done = resume(loomlm_command, path, "--set", "trainer.steps=20", "--allow", STEPS)

    assert done.code == 0, done.err
    assert "had ended after step 12, and is trained on" in done.err
    # At a rate that does not go by the end, these are the steps of a run that was meant so.
    mine, theirs = (
        load_file(run / "model/model.safetensors") for run in (Path("runs/small"), through.folder)
    )
    assert all((mine[name] == theirs[name]).all() for name in theirs)
    assert json.loads(Path("runs/small/evaluation.json").read_text()) == through.evaluation


def test_a_longer_run_goes_on_from_its_last_weights_not_its_best(config_file, loomlm_command):
    keys = {"evaluate_every": "2", "keep_best": '"loss"', "schedule": '{ type = "constant" }'}
    path = config_file(steps="12", **keys)
    split = ["stages.finetune.data.split={validation=0.25}", "trainer.learning_rate=2"]
    loomlm.run(loomlm.load_config(path, set=split))
    longer = loomlm.load_config(path, set=[*split, "trainer.steps=16"])
    through = loomlm.run(longer, runs="through")
    scores = [line["loss"] for line in lines() if line["split"] == "validation"]
    assert min(scores) != scores[-1], "the last weights are the best: the test shows nothing"

    went_on = loomlm.run(longer, resume="must", allow=[STEPS])

    assert went_on.evaluation == through.evaluation


def test_a_shorter_run_than_what_it_has_done(stopped, loomlm_command):
    words = ["--set", "trainer.steps=6", "--allow", STEPS]
    done = resume(loomlm_command, stopped, *words)

    assert done.code == 2
    assert "finetune: it has done 8 steps, and would end after 6" in done.err


def test_a_stage_that_another_has_begun_with_stays(lm_config, loomlm_command):
    path = lm_config(finetune=True, steps="6")
    loomlm.run(path)
    name = "stages.pretrain.trainer.steps"

    words = ["--set", "stages.pretrain.trainer.steps=9", "--allow", name]
    done = resume(loomlm_command, path, *words)

    assert done.code == 2
    assert "pretrain: it has ended, and finetune has begun with what it came to" in done.err


def test_what_changes_no_number_may_change(stopped, loomlm_command):
    done = resume(loomlm_command, stopped, "--set", "trainer.checkpoint_every=2")

    assert done.code == 0, done.err
    assert "checkpoint_every = 2" in Path("runs/small/config.toml").read_text()
    assert not Path("runs/small/resumed.jsonl").exists()


def test_a_fresh_start_is_never_silent(config_file, loomlm_command):
    path = config_file(steps="3")
    assert "it starts from the beginning" in resume(loomlm_command, path).err
    Path("runs/small/evaluation.json").unlink()
    checkpoints = Path("runs/small/finetune/checkpoints")
    checkpoints.rename("elsewhere")

    assert "was stopped before its first checkpoint" in resume(loomlm_command, path).err
    assert steps() == [1, 2, 3]


def test_checkpoints_that_are_all_damaged_are_an_error(stopped, loomlm_command):
    for file in Path("runs/small/finetune/checkpoints").rglob("model.safetensors"):
        file.write_bytes(b"rust")

    done = resume(loomlm_command, stopped)

    assert done.code == 1
    assert "is whole. Start anew with --overwrite." in done.err


def test_allow_is_said_of_a_run_that_goes_on(config_file, loomlm_command):
    path = config_file(steps="3")

    alone = loomlm_command("run", path, "--allow", "library")
    unknown = resume(loomlm_command, path, "--allow", "libary.torch")
    everything = resume(loomlm_command, path, "--allow", "all")

    assert alone.code == unknown.code == everything.code == 2
    assert "add --resume to --allow" in alone.err
    assert "Did you mean 'library'?" in unknown.err
    assert "no difference has that name" in everything.err
    assert not Path("runs").exists()


def test_a_run_that_is_killed_while_it_notes_what_was_allowed(stopped, loomlm_command, monkeypatch):
    """Whatever is written by then, it is the old run or one that differs still."""
    from loomlm.training import claiming

    words = ["--set", "trainer.batch_size=8", "--allow", "trainer.batch_size"]

    def killed(*_: object) -> None:
        raise LoomlmError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(claiming, "commit", killed)
        assert resume(loomlm_command, stopped, *words).code == 1

    assert resume(loomlm_command, stopped, *words[:2]).code == 2
    assert resume(loomlm_command, stopped, *words).code == 0
    assert steps() == list(range(1, 13))
