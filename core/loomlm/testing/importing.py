"""Imports plugins in processes of their own: what that costs and brings along, and whether what
they register is there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from attrs import frozen

from loomlm.registry import WITH_HOOKS, Plugin, Registry

HEAVY = frozenset(
    [
        "torch",
        "tensorflow",
        "keras",
        "jax",
        "transformers",
        "datasets",
        "tokenizers",
        "numpy",
        "scipy",
        "pandas",
        "pyarrow",
        "sklearn",
        "matplotlib",
    ]
)
"""What takes so long to import that a plugin's records should not need it."""

SECONDS = 120
"""After which an import is given up."""

PROGRAM = """
import importlib, json, sys, time
from loomlm.components import follow
from loomlm.registry.loading import check_hooks, from_spec
import loomlm.plugin, attrs
job = json.loads(sys.argv[1])
before, started, error = set(sys.modules), time.perf_counter(), ""
out, sys.stdout = sys.stdout, sys.stderr
try:
    from_spec(job["module"])
except BaseException as wrong:
    error = f"{type(wrong).__name__}: {wrong}"
seconds = time.perf_counter() - started
brought = sorted({name.split(".")[0] for name in set(sys.modules) - before})
targets = {}
for target in job["targets"] if not error else ():
    try:
        found = follow(target)
        if target in job["hooked"]:
            check_hooks(found)
        targets[target] = ""
    except BaseException as wrong:
        targets[target] = f"{type(wrong).__name__}: {wrong}"
print(json.dumps([seconds, brought, error, targets]), file=out)
"""
"""What a process does: its last line is what came of it."""


@frozen(kw_only=True)
class Tried:
    """What came of importing a plugin.

    seconds: without loomlm's own part. heavy: what it brought along that it should not. error: why
    it cannot be imported. targets: each that was followed, with what is wrong with it.
    """

    seconds: float
    heavy: tuple[str, ...]
    error: str
    targets: dict[str, str]

    @property
    def missing(self) -> dict[str, str]:
        """The targets that are not there."""
        return {target: error for target, error in self.targets.items() if error}

    @property
    def ok(self) -> bool:
        """Whether everything can be had."""
        return not self.error and not self.missing

    @property
    def lines(self) -> list[str]:
        """For people."""
        brought = f", and brings {', '.join(self.heavy)}" if self.heavy else ""
        lines = [f"import takes {1000 * self.seconds:,.0f} ms{brought}"]
        if self.error:
            return [f"import fails: {self.error}"]
        there = len(self.targets) - len(self.missing)
        lines.append(f"{there} of {len(self.targets)} targets are there")
        return lines + [f"{target}: {error}" for target, error in self.missing.items()]

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "seconds": round(self.seconds, 4),
            "heavy": list(self.heavy),
            "error": self.error,
            "targets": self.targets,
        }


def try_plugins(registry: Registry) -> dict[int, Tried]:
    """Try every plugin that is not blocked, by the plugin's identity, several at a time."""
    plugins = [plugin for plugin in registry.plugins if plugin.state != "blocked"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda plugin: try_plugin(plugin, registry), plugins)
        return dict(zip(map(id, plugins), found, strict=True))


def try_plugin(plugin: Plugin, registry: Registry) -> Tried:
    """Import a plugin, and follow the targets of what it registers and what can be used here."""
    targets = targets_of(plugin, registry)
    components = [e.component for e in registry.entries if e.plugin is plugin]
    hooked = [component.target for component in components if component.kind in WITH_HOOKS]
    job = json.dumps({"module": plugin.module, "targets": targets, "hooked": hooked})
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, job],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    except subprocess.TimeoutExpired:
        return Tried(seconds=SECONDS, heavy=(), error=f"took {SECONDS} s, given up", targets={})
    if done.returncode or not done.stdout.strip():
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        error = f"the process ended with code {done.returncode}: {last}"
        return Tried(seconds=0.0, heavy=(), error=error, targets={})
    seconds, brought, error, followed = json.loads(done.stdout.splitlines()[-1])
    heavy = tuple(name for name in brought if name in HEAVY)
    return Tried(seconds=seconds, heavy=heavy, error=error, targets=followed)


def targets_of(plugin: Plugin, registry: Registry) -> Sequence[str]:
    """The targets of a plugin's components and builders, where what they need is installed, and
    its commands.
    """
    components = [e.component for e in registry.entries if e.plugin is plugin]
    targets = [component.target for component in components if not component.missing()]
    unusable = {
        entry.component.name for entry in registry.of("trainer") if entry.component.missing()
    }
    builders = [builder for builder, whose in registry.builders if whose is plugin]
    targets += [builder.target for builder in builders if builder.backend not in unusable]
    targets += [point.value for point in registry.commands(plugin)]
    return list(dict.fromkeys(targets))
