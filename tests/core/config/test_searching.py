"""The ranges of `[sweep.search]`, each held against its own key."""

from __future__ import annotations

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

import loomlm
from loomlm.config.load import read_tree
from loomlm.config.searching import Dimension, as_toml, dimensions
from loomlm.plugin import ConfigError

pytestmark = pytest.mark.one_backend


@pytest.fixture
def searched(config_file):
    """The dimensions of some lines of [sweep.search]."""

    def read(*lines: str):
        path = config_file(steps="3")
        path.write_text(path.read_text() + "\n[sweep.search]\n" + "\n".join(lines) + "\n")
        config = loomlm.load_config(path)
        assert config.settings.sweep is not None
        return dimensions(read_tree(path), config.settings.sweep.search, config.registry)

    return read


def test_what_is_whole_follows_from_the_key(searched):
    rate, width, dropout, stepped, optimizer, size = searched(
        '"trainer.learning_rate" = { low = 1e-4, high = 1e-2, log = true }',
        '"backbone.width" = { low = 4, high = 32 }',
        '"backbone.dropout" = { low = 0, high = 0.5 }',
        '"backbone.word_dropout" = { low = 0, high = 0.9, step = 0.1 }',
        '"trainer.optimizer" = { choices = ["sgd", { type = "adamw", weight_decay = 0.1 }] }',
        '"stages.finetune.trainer.batch_size" = { choices = [8, 16] }',
    )
    assert rate == Dimension("trainer.learning_rate", 1e-4, 1e-2, log=True)
    assert width.whole and not dropout.whole and not stepped.whole
    assert optimizer.choices == ('"sgd"', '{ type = "adamw", weight_decay = 0.1 }')
    assert size.choices == ("8", "16")


def test_from_0_to_1_is_a_number_where_the_key_is_one(searched):
    decay, width = searched(
        '"trainer.optimizer.weight_decay" = { low = 0, high = 1 }',
        '"backbone.width" = { low = 1, high = 2 }',
    )
    assert not decay.whole and width.whole


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            '"trainer.learning_rat" = { low = 1e-4, high = 1e-2 }',
            r'my.toml:\d+: sweep.search."trainer.learning_rat": with 0.0001: there is no such key. '
            "Did you mean 'learning_rate'",
        ),
        (
            '"trainer.learning_rate" = { low = -1, high = 1e-2 }',
            r"my.toml:\d+: sweep.search.*with -1: must be > 0",
        ),
        ('"backbone.dropout" = { low = 0.1, high = 3 }', r"with 3: must be <= "),
        ('"backbone.width" = { low = 1.5, high = 8 }', r"with 1.5: .*whole number, got 1.5"),
        (
            '"backbone.pooling" = { choices = ["mean", "rot"] }',
            r"with 'rot': .*Did you mean 'root'",
        ),
        ('"stages.fintune.trainer.steps" = { choices = [3] }', "no 'fintune'. Did you mean"),
        ('"name" = { choices = ["a", "b"] }', "all trials have the same"),
        ('"trainer.steps" = { low = 3 }', r"my.toml:\d+: .*a range has `low` and `high`"),
        ('"trainer.steps" = { low = 5, high = 3 }', "`low` is 5, and is to be less"),
        ('"trainer.steps" = { low = 0, high = 3, log = true }', "`log` wants a `low` above 0"),
        ('"trainer.steps" = { low = 1, high = 3, log = true, step = 1 }', "`log` and `step` do"),
        ('"trainer.steps" = { low = 1, high = 3, choices = [1] }', "give one of both"),
        ('"trainer.steps" = { lo = 1, high = 3 }', "no such key. Did you mean 'low'"),
        ("", r"nothing is searched. Give a range"),
    ],
)
def test_a_mistake_is_told_at_its_line(searched, line, said):
    with pytest.raises(ConfigError, match=said):
        searched(line)


def test_a_default_that_no_stage_takes_is_not_searched_in_vain(searched):
    with pytest.raises(ConfigError, match=r"changes nothing.* Set stages.finetune.trainer.steps"):
        searched('"trainer.steps" = { choices = [3] }', "[stages.trainer]", "steps = 5")


def test_a_mistake_of_both_ends_is_told_once(searched):
    with pytest.raises(ConfigError) as told:
        searched('"trainer.nothing" = { choices = ["a", "a"] }')
    assert len(told.value.problems) == 1


VALUES = st.recursive(
    st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(VALUES)
def test_a_value_is_written_in_a_line_and_reads_back(value):
    from loomlm.config.load import parse_value

    assert "\n" not in as_toml(value)
    assert parse_value(as_toml(value)) == value


def test_what_is_drawn_is_within_the_range():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = [
        [
            dimension.drawn(study.ask())
            for dimension in (
                Dimension("a.b", 1e-4, 1e-2, log=True),
                Dimension("a.c", 4, 16, 4, whole=True),
                Dimension("a.d", choices=('"x"', "3")),
            )
        ]
        for _ in range(40)
    ]
    assert all(1e-4 <= float(one.removeprefix("a.b=")) <= 1e-2 for one, _, _ in found)
    assert {one for _, one, _ in found} == {"a.c=4", "a.c=8", "a.c=12", "a.c=16"}
    assert {one for _, _, one in found} == {'a.d="x"', "a.d=3"}
