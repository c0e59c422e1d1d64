"""A config is read strictly, and every mistake is told at once, with its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import loomlm
from loomlm.components import Component
from loomlm.config.check import choose_backend
from loomlm.errors import ConfigError, PluginError, UsageError
from loomlm.registry import Registry

pytestmark = pytest.mark.one_backend


def with_key(config_file, table: str, line: str, name: str = "my.toml") -> Path:
    """The small config with a line put right below a table's header, or at the top."""
    path: Path = config_file()
    text = path.read_text()
    if table:
        text = text.replace(f"[{table}]\n", f"[{table}]\n{line}\n", 1)
    else:
        text = f"{line}\n{text}"
    path.with_name(name).write_text(text)
    return path.with_name(name)


def mistakes(path: object, **options: object) -> str:
    with pytest.raises(ConfigError) as caught:
        loomlm.load_config(path, **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_five_mistakes_are_told_at_once_each_with_its_line(tmp_path):
    path = tmp_path / "five.toml"
    path.write_text(
        """\
name = "news"
seed = "seventeen"

[tokenizer]
type = "word"
vocab_sise = 100

[backbone]
type = "mpl"

[trainer]
epochs = 2
batch_size = 3.7

[[stages]]
name = "finetune"
task = { type = "classification", multi_label = "no" }
data = { train = "train.csv" }
"""
    )

    told = mistakes(path)

    assert told.startswith("5 mistakes in the config:")
    expected = (
        f"{path}:2: seed: expected a whole number, got 'seventeen'.",
        f"{path}:6: tokenizer.vocab_sise: there is no such key. Did you mean 'vocab_size'?",
        f"{path}:9: backbone.type: There is no backbone 'mpl'. Did you mean 'mlp'?",
        f"{path}:13: trainer.batch_size: expected a whole number or 'auto', got 3.7.",
        f"{path}:17: stages.finetune.task.multi_label: expected true or false, got 'no'.",
    )
    assert tuple(line.strip() for line in told.splitlines()[1:]) == expected


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("learning_rate = true", "expected a number, got True"),
        ("learning_rate = -1.0", "must be > 0"),
        ("keep_last = true", "expected a whole number, got True"),
        ("device = 3", "expected a string, got 3"),
        ('precision = "bf61"', "got 'bf61'. Did you mean 'bf16'?"),
        ("optimizer = 3", "expected a table with a `type`, got 3"),
        ('optimizer = "adam"', "There is no optimizer 'adam'. Did you mean 'adamw'?"),
        ("optimizer = { beta1 = 2.0 }", "must be <= 0.99999: 2.0"),
        ("accumulate = 3", "3 microbatches do not divide a batch of 16"),
        ("epochs = 2", "give one of `steps` and `epochs`; there are both"),
        ("batch_tokens = 512", "give one of `batch_size` and `batch_tokens`; there are both"),
        ("batch_tokens = 0", "must be >= 1: 0"),
        ("early_stopping = { patience = 0 }", "must be >= 1: 0"),
        ("early_stopping = 3", "expected a table, got 3"),
    ],
)
def test_a_value_of_the_wrong_kind(config_file, line, said):
    key = line.split(" ")[0]
    path = config_file()
    kept = [row for row in path.read_text().splitlines() if not row.startswith(f"{key} =")]
    path.write_text("\n".join(kept).replace("[trainer]", f"[trainer]\n{line}") + "\n")

    told = mistakes(path)

    assert said in told
    assert f"{path}:" in told


def test_a_metric_that_the_task_cannot_feed_is_a_mistake(config_file, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from loomlm.plugin import Component, hookimpl\n"
        "class Bleu:\n    accepts = frozenset({'texts'})\n    higher_is_better = True\n"
        "@hookimpl\ndef loomlm_metrics():\n"
        "    return [Component(kind='metric', name='blue', summary='s',"
        " target=f'{__name__}:Bleu')]\n"
    )
    path = with_key(config_file, "", 'plugins = ["mine.py"]')

    told = mistakes(path, set=['stages.finetune.metrics=["blue"]'])

    assert "blue scores texts; classification gives classes" in told


def test_a_stage_s_batch_tokens_take_the_place_of_the_trainer_s_batch_size(config_file):
    own = "stages.finetune.trainer.batch_tokens=512"
    settings = loomlm.load_config(config_file(), set=[own]).settings
    by_size = loomlm.load_config(
        config_file(batch_tokens="512"), set=[own.replace("tokens", "size")]
    )

    assert settings.stages[0].trainer.batch_tokens == 512
    assert settings.stages[0].trainer.batch_size is None
    assert by_size.settings.stages[0].trainer.batch_size == 512
    assert by_size.settings.stages[0].trainer.batch_tokens is None


def test_without_a_word_of_it_a_batch_has_32_examples(config_file):
    path = config_file()
    path.write_text(path.read_text().replace("batch_size = 16\n", ""))

    assert loomlm.load_config(path).settings.stages[0].trainer.batch_size == 32


def test_batches_that_hold_no_row_of_a_stream_are_a_mistake(lm_config):
    path = lm_config(batch_tokens="60", accumulate="2")

    told = mistakes(path)

    assert "batch_tokens: there is no room for 2 rows of 32 tokens; give at least 64." in told
    assert loomlm.load_config(path, set=["trainer.accumulate=1"])


def test_packing_names_the_backbones_that_can_keep_documents_apart(lm_config):
    packing = 'stages.pretrain.task={ type = "causal_lm", packing = "bfd" }'

    told = mistakes(lm_config(), set=[packing, "backbone={ type = 'rnn' }"])

    assert "causal_lm needs a backbone that can do segments; rnn can do" in told
    assert "Backbones that can: transformer." in told
    assert loomlm.load_config(lm_config(), set=[packing, "backbone={ type = 'transformer' }"])


def test_missing_keys_name_the_table(config_file):
    path = config_file()
    path.write_text(path.read_text().replace('task = "classification"\n', ""))

    assert "stages.finetune.task: this key is missing" in mistakes(path)


def test_set_goes_through_the_same_door(config_file):
    path = config_file()

    config = loomlm.load_config(
        path, set=["stages.finetune.trainer.learning_rate=3e-4", "backbone.width=8", "name=other"]
    )

    assert config.settings.stages[0].trainer.learning_rate == 3e-4
    assert config.settings.backbone.config.width == 8
    assert config.settings.name == "other"
    told = mistakes(path, set=["backbone.wide=8", "stages.finetune.trainer.steps=many"])
    assert "--set: backbone.wide: there is no such key. Did you mean 'width'?" in told
    assert "--set: stages.finetune.trainer.steps: expected a whole number" in told


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("seed", "expected KEY=VALUE"),
        ("stages.finetun.task=x", "there is no 'finetun'. Did you mean 'finetune'?"),
        ("seed.deep=1", "'seed' is"),
    ],
)
def test_a_wrong_set_says_what_is_expected(config_file, assignment, said):
    path = with_key(config_file, "", "seed = 3")

    with pytest.raises(UsageError) as caught:
        loomlm.load_config(path, set=[assignment])

    assert said in str(caught.value)


def test_a_dict_goes_through_the_same_door(backend):
    values = {
        "name": "small",
        "backend": backend,
        "tokenizer": "word",
        "backbone": "mlp",
        "stages": [
            {
                "name": "finetune",
                "task": "classification",
                "data": {"train": "train.csv", "label": "label"},
                "trainer": {"steps": 5},
            }
        ],
    }

    assert loomlm.load_config(values).settings.stages[0].trainer.steps == 5
    values["stages"][0]["trainer"]["stesp"] = 5  # type: ignore[index]
    assert "dict: stages.finetune.trainer.stesp" in mistakes(values)


def test_a_stage_takes_what_it_does_not_say_from_the_trainer_table(config_file):
    path = config_file(steps="50", learning_rate="0.5")
    text = path.read_text() + "trainer = { epochs = 2 }\n"
    path.write_text(text)

    trainer = loomlm.load_config(path).settings.stages[0].trainer

    assert (trainer.epochs, trainer.steps, trainer.learning_rate) == (2, None, 0.5)


def test_a_config_that_is_not_there_or_not_toml(config_file, tmp_path):
    config_file()

    with pytest.raises(UsageError, match=r"no config .*mi.toml. Did you mean 'my.toml'"):
        loomlm.load_config(tmp_path / "mi.toml")
    (tmp_path / "bad.toml").write_text("name = \n")
    with pytest.raises(UsageError, match=r"bad.toml: not valid TOML: .*line 1"):
        loomlm.load_config(tmp_path / "bad.toml")
    with pytest.raises(UsageError, match="is a folder"):
        loomlm.load_config(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'name = "caf\xe9"\n')
    with pytest.raises(UsageError, match="cannot be read"):
        loomlm.load_config(tmp_path / "latin.toml")


def test_paths_start_at_the_config_not_at_the_working_folder(config_file, tmp_path, monkeypatch):
    path = config_file()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    config = loomlm.load_config(path)

    assert config.settings.stages[0].data.source.config.train == tmp_path / "train.csv"


def test_every_key_that_is_out_of_bounds_is_told_by_name(config_file):
    path = config_file(batch_size="0", keep_last="0", learning_rate="nan")

    told = mistakes(path, set=["seed=-1", "trainer.checkpoint_every=0"])

    for said in (
        "trainer.batch_size: must be >= 1: 0.",
        "trainer.keep_last: must be >= 1: 0.",
        "trainer.learning_rate: expected a finite number, got nan.",
        "--set: trainer.checkpoint_every: must be >= 1: 0.",
        "--set: seed: must be >= 0: -1.",
    ):
        assert said in told


def test_what_the_trainer_table_says_wrong_is_told_once_for_all_stages(config_file):
    path = config_file(batch_sice="3")
    stage = path.read_text().split("[[stages]]")[1]
    path.write_text(f"{path.read_text()}\n[[stages]]{stage.replace('finetune', 'again')}")

    told = mistakes(path)

    line = path.read_text().splitlines().index("batch_sice = 3") + 1
    assert f"{path}:{line}: trainer.batch_sice: there is no such key" in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('type = "word"', "type = 3", "tokenizer.type: expected one of bpe, "),
        ('type = "word"', 'typ = "word"', "`type` is missing. It says which tokenizer: bpe, "),
        ('type = "word"', 'typ = "word"', "Did you mean it by 'typ'?"),
        ("[trainer]", "[trainr]", "trainr: there is no such key. Did you mean 'trainer'?"),
        ("label =", "lable =", "data.lable: there is no such key. Did you mean 'label'?"),
        ("label =", "clen =", "data.clen: there is no such key. Did you mean 'clean'?"),
        ('"finetune"', '"model"', "name: a run keeps something else in 'model'"),
        ('"finetune"', '"a/b"', "name: 'a/b' cannot name a folder"),
        ('name = "small"', "", "my.toml: name: this key is missing"),
        ('name = "small"', 'name = ""', "my.toml:1: name: '' cannot name a folder"),
        ('backend = "', 'backend = "trch"  # "', "There is no backend 'trch'. Did you mean"),
    ],
)
def test_a_wrong_key_or_name_offers_the_right_one(config_file, old, new, said):
    path = config_file()
    path.write_text(path.read_text().replace(old, new))

    assert said in mistakes(path)


def test_stages_or_trainer_of_the_wrong_kind_are_one_mistake(config_file):
    path = config_file()

    assert mistakes(path, set=["stages=3"]).startswith("--set: stages: expected a list")
    assert mistakes(path, set=["trainer=3"]) == "--set: trainer: expected a table, got 3."
    assert mistakes(path, set=["stages=[]"]) == "--set: stages: a run needs at least one stage."


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ((), "Several backends are installed; say which: tensorflow, torch"),
        (("torch",), "tensorflow"),
        (("tensorflow",), "torch"),
        (
            ("torch", "tensorflow"),
            'No backend is installed. Install one: pip install "loomlm[tensorflow]" or '
            'pip install "loomlm[torch]"',
        ),
    ],
)
def test_auto_is_the_backend_that_is_installed(monkeypatch, lacking, said):
    def missing(component: Component) -> tuple[str, ...]:
        return (component.name,) if component.name in lacking else ()

    monkeypatch.setattr(Component, "missing", missing)
    try:
        found = choose_backend("auto", Registry.load())
    except PluginError as error:
        found = str(error).rstrip(".")

    assert found == said


def test_a_byte_order_mark_is_passed_over(config_file):
    path = config_file()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    assert loomlm.load_config(path).settings.name == "small"


def test_tuples_and_numbers_of_numpy_in_a_dict_are_lists_and_numbers(backend):
    stage = {
        "name": "finetune",
        "task": "classification",
        "data": {"train": Path("train.csv"), "label": "label"},
        "metrics": ("accuracy",),
    }
    values = {
        "name": "small",
        "backend": backend,
        "tokenizer": "word",
        "backbone": "mlp",
        "trainer": {"epochs": 1, "learning_rate": np.float64(0.5)},
        "stages": (stage,),
    }

    (read,) = loomlm.load_config(values).settings.stages

    assert (read.trainer.epochs, read.trainer.learning_rate) == (1.0, 0.5)
    assert isinstance(stage["metrics"], tuple)


def test_mistakes_between_keys_are_told_with_those_within_them(tmp_path, backend):
    (tmp_path / "my.toml").write_text(
        f"""\
name = "a b"
backend = "{backend}"
tokenizer = "word"
backbone = "mlp"
[trainer]
epochs = 1
steps = 2
batch_size = 30
accumulate = 7
learning_rte = 1
[[stages]]
name = "model"
task = "classification"
data = {{ train = "train.csv", split = {{ validation = 0.5, test = 0.5 }} }}
"""
    )

    with pytest.raises(ConfigError) as caught:
        loomlm.load_config(tmp_path / "my.toml")

    parts = ("'a b'", "learning_rte", "both `steps`", "7 microbatches", "'model'", "0.5 and 0.5")
    assert [part for part in parts if part not in str(caught.value)] == []
