"""What a run ran on: versions, plugins, machine; and what of it is not as it was."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import attrs

from loomlm.config.load import Config
from loomlm.config.settings import Choice, RunConfig
from loomlm.errors import UsageError
from loomlm.models.folder import changed, made_by
from loomlm.registry import Registry
from loomlm.registry.plugins import Plugin
from loomlm.registry.sources import code_of
from loomlm.storage.foreign import read_json
from loomlm.training.differences import ANEW, Difference
from loomlm.training.folder import ENVIRONMENT
from loomlm.training.options import engine_options

LIBRARIES = (
    "loomlm",
    "numpy",
    "tokenizers",
    "tiktoken",
    "safetensors",
    "torch",
    "tensorflow",
    "keras",
)

IN_EVERY_RUN = ("loomlm", "numpy", "tokenizers", "tiktoken")
"""The libraries that numbers depend on, whatever a config says."""

INSTRUCTIONS = ("avx512f", "avx2", "avx", "sve", "asimd")
"""Of a CPU, the widest first: kernels are chosen by them, and add up in another order."""

CPUINFO = Path("/proc/cpuinfo")


def environment(config: Config, backend: str) -> dict[str, Any]:
    """Versions of what takes part, every plugin with where it came from, and what made each part:
    of which distribution, at which version of it and of the component.
    """
    run, registry = config.settings, config.registry
    libraries = {*LIBRARIES, *taking_part(run, backend, registry)}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu": cpu(),
        "devices": devices(config, backend),
        "backend": backend,
        "libraries": {name: v for name in sorted(libraries) if (v := version_of(name))},
        "plugins": [
            {
                "name": plugin.name,
                "module": plugin.module,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "state": plugin.state,
            }
            for plugin in registry.plugins
        ],
        "made_by": {
            f"{choice.kind}:{choice.type}": made_by(registry, choice)
            for choice in (Choice("trainer", backend, None), *_choices(run))
        },
        "built_by": _builders(run, backend, registry),
    }


def read_environment(folder: Path) -> dict[str, Any]:
    """What the run in a folder wrote down of where it ran; {} where it did not get that far."""
    path = folder / ENVIRONMENT
    if not path.is_file():
        return {}
    try:
        return dict(read_json(path))
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"{path} cannot be read ({error}), so nobody can tell what has changed since. Bring "
            f"it back, {ANEW}"
        ) from None


def of_environment(
    known: Mapping[str, Any], now: Mapping[str, Any], before: RunConfig, config: Config
) -> Iterator[Difference]:
    """What of libraries, plugins and machine is not as it was, as far as numbers depend on it.

    known, now: what `environment` gives. before: the config of the run.
    """
    run, registry = config.settings, config.registry
    parts = taking_part(before, before.backend, registry) & taking_part(run, run.backend, registry)
    old, new = known.get("libraries", {}), now["libraries"]
    for name in sorted(parts & old.keys()):
        if old[name] != new.get(name):
            yield Difference(f"library.{name}", old[name], new.get(name))
    python = [".".join(str(one.get("python", "")).split(".")[:2]) for one in (known, now)]
    if python[0] and python[0] != python[1]:
        yield Difference("library.python", python[0], python[1])
    yield from _of_plugins(known, now)
    if before.backend == run.backend:
        yield from _of_machine(known, now, before, run)


def changes(known: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """A clause for each observer that is not as it was: it takes part in no number."""
    for name, made in known.get("made_by", {}).items():
        if _observes(name) and name in now["made_by"]:
            said = changed(made, now["made_by"][name], " ".join(name.split(":", 1)))
            if said is not None:
                yield said


def cpu() -> str:
    """The CPU's kind, as far as it decides bits: its architecture and widest instructions."""
    machine = platform.machine()
    if not CPUINFO.is_file():
        return machine
    words = set(CPUINFO.read_text(errors="replace").split())
    return " ".join([machine, *[name for name in INSTRUCTIONS if name in words][:1]])


def devices(config: Config, backend: str) -> dict[str, str]:
    """By stage, what the device is that it trains on; a CPU is left out."""
    named = {stage.name: stage.trainer.device for stage in config.settings.stages}
    if set(named.values()) <= {"cpu", "auto"}:
        return {}
    options = engine_options(config, backend)
    found = config.registry.target("trainer", backend)(options).devices()
    said = {one.name.split(":")[0]: one.description for one in reversed(found)}
    said |= {one.name: one.description for one in found}
    return {
        stage: said[device] for stage, device in named.items() if device in said and device != "cpu"
    }


def taking_part(run: RunConfig, backend: str, registry: Registry) -> set[str]:
    """The libraries that a run's numbers depend on: those that its parts require, too."""
    choices = (Choice("trainer", backend, None), *_choices(run))
    required = (
        registry.find(choice.kind, choice.type).component.requires
        for choice in choices
        if choice.kind != "observer"
    )
    return {*IN_EVERY_RUN, *(name for names in required for name in names)}


def _of_machine(
    known: Mapping[str, Any], now: Mapping[str, Any], before: RunConfig, run: RunConfig
) -> Iterator[Difference]:
    on_cpu = any(stage.trainer.device == "cpu" for stage in run.stages)
    if on_cpu and known.get("cpu", now["cpu"]) != now["cpu"]:
        yield Difference("machine.cpu", known["cpu"], now["cpu"])
    # A device of another name is a difference of the config.
    names = [{stage.name: stage.trainer.device for stage in one.stages} for one in (before, run)]
    pairs = {
        (known.get("devices", {}).get(stage, device), device)
        for stage, device in now["devices"].items()
        if names[0].get(stage) == names[1][stage]
    }
    for old, new in sorted(pairs):
        if old != new:
            yield Difference("machine.device", old, new)
            return


def _of_plugins(known: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Difference]:
    """A difference for each plugin of which something takes part and has changed."""
    clauses: dict[str, list[tuple[str, str]]] = {}
    for table in ("made_by", "built_by"):
        for part, made in known.get(table, {}).items():
            new = now[table].get(part)
            if new is not None and not _observes(part):
                for pair in _changed(part, made, new):
                    clauses.setdefault(_plugin_of(new), []).append(pair)
    for name, pairs in clauses.items():
        before, after = (", ".join(dict.fromkeys(side)) for side in zip(*pairs, strict=True))
        yield Difference(f"plugin.{name}", before, after)


def _changed(
    part: str, made: Mapping[str, str], now: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """What of a part's making has changed: pairs of what was, and what is."""
    if _plugin_of(made) != _plugin_of(now):
        yield _plugin_of(made), _plugin_of(now)
        return
    # Of what is built in, the version is that of the library.
    if made.get("version") != now["version"] and _plugin_of(now) not in IN_EVERY_RUN:
        yield f"version {made.get('version')}", f"version {now['version']}"
    if made.get("component") != now.get("component"):
        named = " ".join(part.split(":", 1))
        yield f"{named} {made.get('component')}", f"{named} {now.get('component')}"
    elif made.get("code", "") != now.get("code", ""):
        yield f"code {made.get('code', '')[:8]}", f"code {now.get('code', '')[:8]}"


def _plugin_of(made: Mapping[str, str]) -> str:
    """What a plugin is called: a file by its name, so that a folder may move."""
    name = made.get("distribution", "")
    return Path(name).name if name.endswith(".py") else name


def _observes(part: str) -> bool:
    return part.startswith("observer:")


def _builders(run: RunConfig, backend: str, registry: Registry) -> dict[str, dict[str, str]]:
    """What third parties build a backbone or an optimizer with."""
    found = {}
    for choice in _choices(run):
        if choice.kind in ("backbone", "optimizer"):
            for builder, plugin in registry.backends(choice.kind, choice.type).get(backend, []):
                if not plugin.built_in:
                    part = f"{choice.kind}:{choice.type}:{backend}"
                    found[part] = _of_builder(plugin, builder.target)
    return found


def _of_builder(plugin: Plugin, target: str) -> dict[str, str]:
    return {
        "distribution": plugin.distribution or plugin.module,
        "version": plugin.version,
        "code": code_of(plugin, target),
    }


def _choices(value: Any) -> Iterator[Choice]:
    """Every component that a config names."""
    if isinstance(value, Choice):
        yield value
        yield from _choices(value.target)
    elif isinstance(value, tuple):
        for inner in value:
            yield from _choices(inner)
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from _choices(getattr(value, field.name))


def version_of(library: str) -> str | None:
    """The version of an installed library; some come in a distribution for CPUs alone."""
    for distribution in (library, f"{library}-cpu"):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None
