"""`--trace-hooks`: which hooks ran, in which order, who answered, how long each took."""

from __future__ import annotations

import pytest

from loomlm.plugin import hookimpl
from loomlm.registry import Registry
from loomlm.registry.tracing import TRACE, register, tracing

from ..written import metric

pytestmark = pytest.mark.one_backend


def rows(errors: str) -> list[list[str]]:
    """The lines of the table behind everything else."""
    lines = errors.splitlines()
    head = next(index for index, line in enumerate(lines) if line.startswith("hook "))
    return [line.split("  ") for line in lines[head + 1 :]]


def test_a_run_shows_its_hooks_in_their_order(install, config_file, loomlm_command):
    install("foo-kit", metric("foo"))

    done = loomlm_command("run", config_file(steps="3"), "--trace-hooks")

    assert done.code == 0
    found = [[cell.strip() for cell in row if cell.strip()] for row in rows(done.err)]
    hooks = [row[0] for row in found]
    assert ["loomlm_metrics", "foo-kit 1.5 (foo_kit_plugin)", "1", "1"] in [r[:4] for r in found]
    assert hooks.index("loomlm_tokenizers") < hooks.index("loomlm_run_started")
    assert hooks.index("loomlm_run_started") < hooks.index("loomlm_steps_ended")
    assert hooks.index("loomlm_steps_ended") < hooks.index("loomlm_run_ended")
    assert all(float(row[-1].replace(",", "")) >= 0 for row in found)


@pytest.mark.parametrize("words", [("plugins",), ("config", "schema"), ("doctor",)])
def test_every_command_takes_it_wherever_it_stands(loomlm_command, words):
    first = loomlm_command("--trace-hooks", *words)
    last = loomlm_command(*words, "--trace-hooks")

    assert [row[0] for row in rows(first.err)] == [row[0] for row in rows(last.err)]
    assert first.out == last.out == loomlm_command(*words).out


def test_a_command_that_fails_shows_its_hooks_too(loomlm_command, config_file):
    done = loomlm_command("run", config_file(steps="0"), "--trace-hooks")

    assert done.code == 2
    assert rows(done.err)


def test_words_behind_two_dashes_are_no_option(loomlm_command, config_file):
    assert loomlm_command("run", config_file(steps="2")).code == 0

    done = loomlm_command("predict", "runs/small", "--", "--trace-hooks")

    assert '"text": "--trace-hooks"' in done.out
    assert not done.err


class Wraps:
    @hookimpl(wrapper=True)
    def loomlm_batch(self, batch):
        return (yield) + 1


class Answers:
    @hookimpl
    def loomlm_batch(self, batch):
        if batch < 0:
            raise ValueError("negative")
        return batch


def test_wrappers_are_traced_and_keep_their_meaning():
    manager = Registry.load().manager
    with tracing() as trace:
        register(manager, Answers(), "inner")
        register(manager, Wraps(), "outer")
        assert manager.hook.loomlm_batch(batch=1, step=1, seed=1) == 2
        with pytest.raises(ValueError, match="negative"):
            manager.hook.loomlm_batch(batch=-1, step=1, seed=1)

    counts = {line.who: (line.calls, line.answers) for line in trace.lines.values()}
    assert counts == {"inner": (2, 1), "outer": (2, 1)}


def test_when_it_is_off_nothing_stands_between():
    assert TRACE.get() is None
    manager, plugin = Registry.load().manager, Answers()
    register(manager, plugin, "plain")

    (implementation,) = manager.hook.loomlm_batch.get_hookimpls()
    assert implementation.function == plugin.loomlm_batch
