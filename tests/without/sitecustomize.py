"""Hides the modules that LOOMLM_TESTS_WITHOUT names, as if they were not installed.

Python imports this file by itself where its folder stands in PYTHONPATH: so it holds for every
process that a test starts, too.
"""

import os
import sys
from importlib.machinery import PathFinder

HIDDEN = frozenset(os.environ.get("LOOMLM_TESTS_WITHOUT", "").split())


class Rest:
    """Finds what PathFinder finds, but for the hidden modules."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            return None
        return PathFinder.find_spec(name, path, target)

    invalidate_caches = PathFinder.invalidate_caches
    find_distributions = PathFinder.find_distributions


if HIDDEN:
    sys.meta_path[:] = [Rest if finder is PathFinder else finder for finder in sys.meta_path]
