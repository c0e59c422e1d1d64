"""For who tests plugins: the conformance kit, a pytest plugin; and checks that hold the backends to
one another.

A component holds to what its kind promises (see `docs/write-a-plugin.md`):

    @pytest.mark.loomlm("tokenizer:stem")
    def test_stem(conformance):
        conformance()

Two backends give the same model (see `docs/parity.md`); each has a process of its own:

    with Parity.start(registry, ("torch", "tensorflow"), folder) as parity:
        for check in parity.checks:
            print(parity.result(check))

Nothing here imports a framework, and this module nothing at all until it is asked.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loomlm.testing.compare import Result
    from loomlm.testing.parity import Parity
    from loomlm.testing.trials import Case, Check, Plan, Trial, checks

__all__ = ["Case", "Check", "Parity", "Plan", "Result", "Trial", "checks"]

_HOMES = {"Result": "compare", "Parity": "parity"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'trials')}"), name)
