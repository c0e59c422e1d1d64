"""Distributions with plugins, as pip would install them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts a distribution with one plugin module on the path; gives the folder of them all."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def add(distribution: str, source: str, version: str = "1.5", needs: str = "loomlm") -> Path:
        module = distribution.replace("-", "_") + "_plugin"
        (site / f"{module}.py").write_text(source)
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
            f"Requires-Dist: {needs}\n"
        )
        (info / "entry_points.txt").write_text(f"[loomlm]\nmain = {module}\n")
        monkeypatch.delitem(sys.modules, module, raising=False)
        return site

    return add
