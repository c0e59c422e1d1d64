"""Checks that hold the backends to one another: see `docs/parity.md`.

    with Parity.start(registry, ("torch", "tensorflow"), folder) as parity:
        for check in parity.checks:
            print(parity.result(check))

Nothing here imports a framework: each backend has a process of its own.
"""

from loomlm.testing.compare import Result
from loomlm.testing.parity import Parity
from loomlm.testing.trials import Case, Check, Plan, Trial, checks

__all__ = ["Case", "Check", "Parity", "Plan", "Result", "Trial", "checks"]
