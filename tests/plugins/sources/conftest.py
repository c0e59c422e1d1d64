"""Fixtures of the sources' tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from loomlm.cli import main


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Calls `loomlm` with words; gives its exit code, standard output and standard error."""

    def call(*words: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(words)
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call
