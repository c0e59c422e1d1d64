"""`loomlm doctor`."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

import click

from loomlm.cli.options import load_registry, plugin_options, split_plugins


@click.command("doctor")
@click.option(
    "--parity",
    is_flag=False,
    flag_value="some",
    type=click.Choice(["some", "all"]),
    help="Compare the installed backends with one another too; all of it takes many minutes.",
)
@plugin_options
def command(parity: str | None, plugins: tuple[str, ...]) -> None:
    """Say what is installed, which backends and devices can be used, and what to install.

    Exit code 1 when no backend can be used, or when two do not come to the same; 2 when there are
    no two to compare.
    """
    registry = load_registry(plugins)
    click.echo(f"Python     {platform.python_version()} ({sys.executable})")
    click.echo(
        f"System     {platform.system()} {platform.machine()}, {_cores()} cores, {_memory()}"
    )
    if (taken := _cores_taken()) is not None:
        click.echo(f"Load       {taken}")
    _versions()
    usable = [_backend(entry, registry) for entry in registry.of("trainer")]
    _plugins(registry)
    if not any(usable):
        click.echo("No backend can be used. Install one of those above.")
        sys.exit(1)
    if parity is not None and not _backends_agree(registry, plugins, parity):
        sys.exit(1)


def _backends_agree(registry: Any, plugins: tuple[str, ...], which: str) -> bool:
    from loomlm.cli.parity import compare_backends

    extra, block = split_plugins(plugins)
    return compare_backends(registry, extra, block, which == "all")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cores_taken() -> str | None:
    """What other programs leave of the cores, where they leave less than half of them.

    Threads of one model wait for each other: where one has to share its core, all of them are slow.
    """
    try:
        load = os.getloadavg()[0]
    except (AttributeError, OSError):
        return None
    cores = os.cpu_count() or 1
    if load < cores / 2:
        return None
    return (
        f"other programs took {load:.1f} of {cores} cores in the last minute: what is measured now "
        "says little, and trainer.threads = 1 may train faster than more"
    )


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return "memory unknown"
    return f"{size / 2**30:.1f} GiB memory"


def _versions() -> None:
    from loomlm.training.environment import LIBRARIES, version_of

    for name in (*LIBRARIES, "datasets", "scikit-learn", "pyarrow", "tensorboard"):
        found = version_of(name)
        if found is not None:
            click.echo(f"{name:10} {found}")


def _backend(entry: Any, registry: Any) -> bool:
    """Say whether a backend works, by making it, and on which devices."""
    component = entry.component
    missing = component.missing()
    if missing:
        click.echo(f"Backend    {component.name}: needs {', '.join(missing)}. {component.install}")
        return False
    try:
        devices = entry.load()(component.config()).devices()
    # A broken installation may fail in any way; finding that out is what this command is for.
    except Exception as error:
        click.echo(f"Backend    {component.name}: broken: {type(error).__name__}: {error}")
        return False
    listed = "; ".join(f"{device.name} ({device.description})" for device in devices)
    click.echo(f"Backend    {component.name}: {listed}")
    return True


def _plugins(registry: Any) -> None:
    for plugin in registry.plugins:
        if plugin.state in ("broken", "incompatible"):
            click.echo(f"{plugin.state.capitalize():10} {plugin.full_origin}: {plugin.error}")
    for entry in registry.entries:
        component = entry.component
        missing = component.missing()
        if missing and component.kind != "trainer":
            click.echo(
                f"Missing    {component.kind} {component.name} needs {', '.join(missing)}: "
                f"{component.install}"
            )
