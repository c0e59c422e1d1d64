"""The page on generalisation: its config runs, and each of its parts goes with it."""

from __future__ import annotations

import re
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

import loomlm
from loomlm.config.load import read_tree
from loomlm.config.searching import dimensions

PAGE = (Path(__file__).parents[2] / "docs" / "generalisation.md").read_text(encoding="utf-8")
WHOLE, *PARTS = [
    tomllib.loads(block) for block in re.findall(r"^```toml\n(.*?)^```", PAGE, re.M | re.S)
]
QUICK = {
    "trainer": {"compile": False, "threads": 1, "device": "cpu"},
    "backbone": {"width": 8},
}


def merged(whole: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """A config with some of its keys as a part says, which has one table for the only stage."""
    found = deepcopy(whole)
    for name, value in part.items():
        into = found.get(name)
        if isinstance(into, list) and isinstance(value, dict):
            found[name] = [merged(into[0], value), *into[1:]]
        elif isinstance(into, dict) and isinstance(value, dict):
            found[name] = merged(into, value)
        else:
            found[name] = value
    return found


def test_the_config_runs(topics, backend):
    config = merged({**WHOLE, "backend": backend}, QUICK)
    run = loomlm.run(merged(config, {"trainer": {"epochs": 0.1}}))
    assert set(run.evaluation["finetune"]) == {"validation", "test"}


@pytest.mark.one_backend
@pytest.mark.parametrize("part", PARTS)
def test_each_part_goes_with_it(part, topics, backend):
    values = merged({**WHOLE, "backend": backend}, part)
    config = loomlm.load_config(values)
    if config.settings.sweep is not None:
        found = dimensions(read_tree(values), config.settings.sweep.search, config.registry)
        assert [one.whole for one in found] == [False, False, False, True]


@pytest.mark.one_backend
def test_parts_work_together(topics, backend):
    values = {**WHOLE, "backend": backend}
    for part in PARTS:
        if "average" not in part.get("trainer", {}) and "sweep" not in part:
            values = merged(values, part)
    values = merged(merged(values, QUICK), {"trainer": {"steps": 4, "evaluate_every": 2}})
    del values["trainer"]["epochs"]
    run = loomlm.run(values)
    assert run.evaluation["finetune"]["test"]["weights"].startswith("moving average")
