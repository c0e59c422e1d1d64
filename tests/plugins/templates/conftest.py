"""What `loomlm init` writes."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def init_template(loomlm_command, backend) -> Callable[..., dict]:
    """The config that `loomlm init TEMPLATE` writes, which `config check` takes."""

    def call(template: str, *words: object) -> dict:
        done = loomlm_command("init", template, *words, "--backend", backend)
        assert done.code == 0, done.err
        Path("my.toml").write_text(done.out)
        checked = loomlm_command("config", "check", "my.toml")
        assert checked.code == 0, checked.err
        return tomllib.loads(done.out)

    return call
