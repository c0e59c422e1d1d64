"""PyTorch beside itself under other names, as it is or with something wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from loomlm.registry import Registry
from loomlm.testing import Check, Parity, checks
from loomlm.testing.processes import Process, Worker
from loomlm.testing.sample import python_text

VARIANTS = Path(__file__).parents[2] / "local_plugins" / "torch_variants.py"


@pytest.fixture(scope="session")
def variants() -> Registry:
    return Registry.load([str(VARIANTS)])


@pytest.fixture(scope="session")
def beside(
    variants: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Parity]]:
    """The checks of `torch` and another of the variants; all of them in one process."""
    if find_spec("torch") is None:
        pytest.skip("the variants are of PyTorch, which is not installed")
    folder = tmp_path_factory.mktemp("variants")
    process = Process(folder)
    text = folder / "text.txt"
    text.write_text(python_text(), encoding="utf-8")
    first = Worker("torch", folder / "torch", process)
    plugins = (str(VARIANTS),)

    def start(other: str) -> Parity:
        plan = checks(variants, ("torch", other))
        workers = (first, Worker(other, folder / other, process))
        return Parity(plan, workers, text, plugins)

    made = cache(start)
    yield made
    process.stop()


@pytest.fixture(scope="session")
def checked() -> Callable[[Parity, str], Check]:
    """The first check whose name has all the words."""

    def find(parity: Parity, words: str) -> Check:
        wanted = words.split()
        return next(c for c in parity.checks if all(word in str(c) for word in wanted))

    return find
