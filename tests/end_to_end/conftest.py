"""A fresh environment with distributions that are not ours, installed as a user would.

It sees the packages of the one that runs the tests, so nothing is downloaded. pip builds a
distribution with what is installed: hatchling, which it asks for, or else setuptools, which reads
the same `[project]` table. With neither, pip has to fetch hatchling from an index.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

SETUPTOOLS = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Makes an environment that has a distribution; gives its interpreter.

    The distribution's folder is changed where it has to be built with setuptools.
    """
    pytest.importorskip("pip", reason="pip installs the distribution")

    def make(distribution: Path) -> Path:
        folder = tmp_path_factory.mktemp("environment")
        venv.create(folder, with_pip=False)
        paths = {"base": str(folder), "platbase": str(folder)}
        site = Path(sysconfig.get_path("purelib", "venv", vars=paths))
        # `addsitedir` also follows the .pth files there, as that of an editable install of loomlm.
        here = sysconfig.get_path("purelib"), sysconfig.get_path("platlib")
        lines = [f"import site; site.addsitedir({path!r})" for path in dict.fromkeys(here)]
        (site / "packages_of_the_tests.pth").write_text("\n".join(lines) + "\n")
        python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        install(python, distribution)
        return python

    return make


def install(python: Path, source: Path) -> None:
    offline = ["--no-build-isolation", "--no-index"]
    if find_spec("hatchling") is None and find_spec("setuptools") is not None:
        project = source / "pyproject.toml"
        _, _, rest = project.read_text().partition("\n[project]")
        project.write_text(f"{SETUPTOOLS}\n[project]{rest}")
    elif find_spec("hatchling") is None:
        offline = []
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", *offline]
    done = subprocess.run([*pip, str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
