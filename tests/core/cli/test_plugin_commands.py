"""Commands that plugins add: listed without an import, contained when they are broken."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

COMMAND = """
import click

@click.command()
@click.option("--resume", type=int)
def command(resume):
    click.echo(f"resume {resume}")
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """Puts a distribution with a command on the path: its name, the command's, its source."""
    monkeypatch.syspath_prepend(str(tmp_path / "site"))

    def add(distribution: str, name: str, source: str) -> None:
        module = f"{distribution}_command"
        info = tmp_path / "site" / f"{distribution}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Name: {distribution}\nVersion: 1.0\n")
        points = f"[loomlm.commands]\n{name} = {module}:command\n"
        (info / "entry_points.txt").write_text(points)
        (tmp_path / "site" / f"{module}.py").write_text(source)
        monkeypatch.delitem(sys.modules, module, raising=False)

    return add


def test_a_command_is_listed_without_an_import_and_called(install, loomlm_command):
    install("good", "hello", COMMAND)
    listed = loomlm_command("--help")

    assert "hello     From good." in listed.out
    assert "good_command" not in sys.modules
    assert loomlm_command("hello", "--help").code == 0
    assert loomlm_command("hello", "--resume", 5).out == "resume 5\n"


def test_a_misspelt_command_offers_the_plugin_s(install, loomlm_command):
    install("good", "hello", COMMAND)

    done = loomlm_command("helo")

    assert done.code == 2
    assert "There is no command 'helo'. Did you mean 'hello'?" in done.err


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import a_module_that_is_not_there", "broke: ModuleNotFoundError"),
        ("", "broke: AttributeError"),
        ("def command(): pass", "is no click command"),
    ],
)
def test_a_broken_command_is_one_message_and_the_others_work(install, loomlm_command, source, said):
    install("bad", "hello", source)

    done = loomlm_command("hello")

    assert done.code == 2
    assert "The command 'hello' of bad" in done.err
    assert said in done.err
    assert loomlm_command("--help").code == 0


def test_two_plugins_with_one_command_are_both_named(install, loomlm_command):
    install("first", "hello", COMMAND)
    install("second", "hello", COMMAND)

    done = loomlm_command("hello")

    assert done.code == 2
    assert "first and second" in done.err


def test_no_plugin_takes_a_built_in_command_s_place(install, loomlm_command):
    install("bad", "doctor", "raise SystemExit('taken')")

    helped = loomlm_command("doctor", "--help")

    assert helped.code == 0
    assert "which backends and devices can be used" in helped.out


def test_autoload_off_leaves_out_commands_too(install, loomlm_command, monkeypatch):
    install("good", "hello", COMMAND)
    monkeypatch.setenv("LOOMLM_DISABLE_PLUGIN_AUTOLOAD", "1")

    assert "hello" not in loomlm_command("--help").out
    assert loomlm_command("hello").code == 2
