"""10,000 wrong configs and 10,000 wrong `--set`: a message and code 2, and nothing else."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from loomlm.config.load import load_config
from loomlm.registry import Registry

from .mutating import bounded, mutated, refused

pytestmark = pytest.mark.one_backend

CASES = Path(__file__).with_name("cases")
RIGHT = (CASES / "right.toml").read_text(encoding="utf-8")

WORDS = [
    *(CASES / "words.txt").read_text(encoding="utf-8").splitlines(),
    *("", " ", "\n", "\0", "\x1b[2J", "[" * 3000, "{a=" * 300, "9" * 5000, "x" * 100_000),
    ".".join("a" * 500) + " = 1\n",
]


@pytest.fixture(autouse=True)
def _one_registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Plugins are found once; what a wrong config names as one is not imported."""
    registry = Registry.load()
    monkeypatch.setattr(Registry, "load", lambda *words: registry)
    return registry


@pytest.fixture
def right(tmp_path: Path) -> Path:
    path = tmp_path / "right.toml"
    path.write_text(RIGHT, encoding="utf-8")
    return path


def keys() -> list[str]:
    """Every key that the right config has, and some that it has not."""
    config = load_config(CASES / "right.toml")
    names = [".".join(map(str, path)) for path in config.origins if path]
    return [*names, "stages.nothing.task", "stages.9.data", "nothing", "backbone", "stages", "a.b"]


def test_right_configs_are_right(right):
    assert load_config(right).settings.name == "right"


def test_wrong_configs_are_refused(right, times, tmp_path):
    draw, wrong = random.Random(1), tmp_path / "wrong.toml"
    words = [word.encode() for word in WORDS]
    count = times(10_000)
    with bounded():
        found = 0
        for _ in range(count):
            content = mutated(RIGHT.encode(), draw, words)
            wrong.write_bytes(content)
            found += bool(refused(lambda: load_config(wrong), content, 2))
    assert found > count / 2


def test_wrong_values_of_set_are_refused(right, times):
    draw, names = random.Random(2), keys()
    count = times(10_000)
    with bounded():
        found = 0
        for _ in range(count):
            name = draw.choice(names)
            value = draw.choice(WORDS)
            if draw.random() < 0.3:
                value = mutated(value.encode(), draw, [w.encode() for w in WORDS])
                value = value.decode("utf-8", "replace")
            if draw.random() < 0.1:
                name = mutated(name.encode(), draw, [b".", b"", b"=", b"9" * 30]).decode(
                    "utf-8", "replace"
                )
            said = [f"{name}={value}"]
            found += bool(refused(lambda said=said: load_config(right, set=said), said, 2))
    assert found > count / 2


@pytest.mark.parametrize("path", sorted(CASES.glob("*.wrong.toml")), ids=lambda path: path.stem)
def test_what_failed_once_is_refused(path, loomlm_command):
    done = loomlm_command("config", "check", path)

    assert done.code == 2
    assert done.err.startswith("Error: ") and not done.out


@pytest.mark.parametrize("number", range(20))
def test_the_command_line_says_one_message(number, tmp_path, loomlm_command):
    draw = random.Random(number)
    wrong = tmp_path / "wrong.toml"
    wrong.write_bytes(mutated(RIGHT.encode(), draw, [b"=", b"[", b"\0", b"x = 1\n"]))

    done = loomlm_command("config", "check", wrong)

    assert (done.code, bool(done.err)) in ((0, False), (2, True))
    assert not done.err or done.err.startswith("Error: ")
