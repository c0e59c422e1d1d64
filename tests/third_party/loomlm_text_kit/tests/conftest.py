"""Folders of a test's own."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOMLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LOOMLM_RUNS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)
