"""`loomlm data check`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from loomlm.cli.data.showing import many, place, safe, say
from loomlm.cli.options import config_options, read_config

MARKS = {"pass": "pass", "warn": "WARN", "fail": "FAIL"}


@click.command("check")
@config_options
@click.option("--stage", metavar="NAME", help="The stage to check; all by default.")
@click.option("--all", "every", is_flag=True, help="Show the checks that passed, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    path: str,
    assignments: tuple[str, ...],
    backend: str | None,
    plugins: tuple[str, ...],
    stage: str | None,
    every: bool,
    as_json: bool,
) -> None:
    """Say what is wrong with the data of a config's stages, where, and what to do about it.

    The data is read, cleaned and split as `loomlm run` does, from the cache where it is there.
    Exit code 1 when a check fails.
    """
    config = read_config(path, assignments, backend, plugins)

    from loomlm.data.inspection.checks import check
    from loomlm.data.inspection.reading import read_stages

    results: dict[str, list[Any]] = {}
    for read in read_stages(config.settings, config.registry, say, stage).stages:
        results[read.name] = list(check(read))
        if not as_json:
            _show(read.name, results[read.name], every)
    if as_json:
        shown = {name: [_as_json(one) for one in found] for name, found in results.items()}
        click.echo(json.dumps(shown, indent=2))
    if any(one.level == "fail" for found in results.values() for one in found):
        sys.exit(1)


def _show(stage: str, results: list[Any], every: bool) -> None:
    click.echo(f"Stage {stage}")
    for group in dict.fromkeys(one.check.group for one in results):
        own = [one for one in results if one.check.group == group]
        passed = sum(one.level == "pass" and not one.not_made for one in own)
        click.echo(f"\n  {group}: {passed} of {many(len(own), 'check')} passed")
        for one in own:
            for line in _lines(one, every):
                click.echo(f"  {line}")
    counts = {level: sum(one.level == level for one in results) for level in MARKS}
    not_made = sum(bool(one.not_made) for one in results)
    click.echo(
        f"\n{many(len(results), 'check')}: {counts['pass'] - not_made} passed, "
        f"{many(counts['warn'], 'warning')}, {counts['fail']} failed"
        f"{f', {not_made} not made' if not_made else ''}\n"
    )


def _lines(result: Any, every: bool) -> list[str]:
    name = result.check.name
    if result.not_made:
        return [f"  --  {name}: not made. {result.not_made}"]
    if result.level == "pass":
        notes = [f"      {safe(found.what)}" for found in result.findings]
        return [f"pass  {name}: {result.check.right}", *notes] if every else []
    lines = [f"{MARKS[result.level]}  {name}"]
    steps = []
    for found in result.findings:
        if found.level == "pass" and not every:
            continue
        lines.append(f"      {safe(found.what)}.")
        if found.where:
            lines.append(f"        at {', '.join(map(place, found.where))}")
        if found.step and found.step not in steps:
            steps.append(found.step)
    return [*lines, *(f"      {step}" for step in steps)]


def _as_json(result: Any) -> dict[str, Any]:
    from attrs import asdict

    return {
        "check": result.check.name,
        "group": result.check.group,
        "level": None if result.not_made else result.level,
        "not_made": result.not_made,
        "findings": [
            {key: value for key, value in asdict(found).items() if key != "check"}
            for found in result.findings
        ],
    }
