"""Code that nobody has installed: files and modules that a config or -p names."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable

from loomlm.registry.sources import file_of

LOCAL = "local"
"""What stands, among the plugins to leave out, for all that are not installed."""

LOCAL_OFF = "LOOMLM_NO_LOCAL_PLUGINS"
"""The environment variable that leaves them out of every command."""

NO_LOCAL = (
    f"code that is not installed is forbidden here, by --no-local-plugins, -p no:{LOCAL}, "
    f"{LOCAL_OFF} or plugins.block"
)
"""Why such a plugin is not loaded."""

_LOG = logging.getLogger("loomlm.plugins")


def forbids_local(block: Iterable[str]) -> bool:
    """Whether plugins that are not installed are left out, by a list or by the environment."""
    return LOCAL in block or bool(os.environ.get(LOCAL_OFF))


def say_loading(spec: str, named_by: str) -> None:
    """Say, before it runs, which code is loaded from where. The command line shows it."""
    # Of a module in a package, the package's file: to find its own imports what is around it.
    file = spec if spec.endswith(".py") else file_of(spec.partition(".")[0])
    where = spec if file in ("", spec) else f"{spec} ({file})"
    _LOG.info("Loading code that %s names: %s", named_by, where)
