"""`loomlm doctor --parity`: whether the installed backends come to the same."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import click

from loomlm.cli.tables import table
from loomlm.errors import UsageError

if TYPE_CHECKING:
    from loomlm.testing import Result


def compare_backends(
    registry: Any, plugins: Sequence[str], block: Sequence[str], all_: bool
) -> bool:
    """Compare the first backend that can be used with the others, and print a table.

    Gives whether they agree. Raises UsageError where there are fewer than two.
    """
    from loomlm.config.check import usable_backends

    first, *others = usable_backends(registry) or [""]
    if not others:
        raise UsageError(f"Parity is between two backends. {_what_to_install(registry, first)}")
    folder = Path(mkdtemp(prefix="loomlm-parity-"))
    results: list[Result] = []
    for other in others:
        results += _compare(registry, (first, other), folder, plugins, block, all_)
    if all(result.ok for result in results):
        shutil.rmtree(folder, ignore_errors=True)
        return True
    for result in results:
        if not result.ok:
            click.echo(str(result))
    click.echo(f"What was run is in {folder}.")
    return False


def _what_to_install(registry: Any, usable: str) -> str:
    missing = [entry.component for entry in registry.of("trainer") if entry.component.missing()]
    installs = " or ".join(component.install for component in missing if component.install)
    there = f"There is {usable} alone. " if usable else "There is none. "
    return there + (f"Install another: {installs}" if installs else "Install another.")


def _compare(
    registry: Any,
    backends: tuple[str, str],
    folder: Path,
    plugins: Sequence[str],
    block: Sequence[str],
    all_: bool,
) -> list[Result]:
    from loomlm.testing import Parity

    results = []
    with Parity.start(
        registry, backends, folder, plugins=plugins, block=block, thorough=all_
    ) as parity:
        click.echo(f"\n{backends[0]} and {backends[1]}, {len(parity.checks)} comparisons:")
        for number, check in enumerate(parity.checks, 1):
            _progress(f"{number}/{len(parity.checks)}  {check}")
            results.append(parity.result(check))
        _progress("")
    table(("case", "check", "difference", "limit", ""), [_row(result) for result in results])
    for sentence in parity.plan.left_out:
        click.echo(f"Not compared: {sentence}")
    return results


def _row(result: Result) -> tuple[str, ...]:
    verdict = "pass" if result.ok else "FAIL"
    return (result.case, result.check, f"{result.worst:.1e}", f"{result.limit:.0e}", verdict)


def _progress(text: str) -> None:
    """One line that changes, in a terminal; a line each elsewhere."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        click.echo(f"\r\x1b[K{text[:width]}", err=True, nl=False)
    elif text:
        click.echo(text, err=True)
