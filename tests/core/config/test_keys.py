"""Keys of a plugin's config class: their bounds, and what the class checks itself."""

from __future__ import annotations

import json

import pytest

import loomlm
from loomlm.errors import ConfigError

pytestmark = pytest.mark.one_backend

KEYS = """
from attrs import field, frozen
from loomlm.plugin import Component, UsageError, hookimpl, key

loomlm_api = (1, 1)

@frozen
class Config:
    widths: tuple[int, ...] = key("several", (3, 4), minimum=1)
    name: str = key("one", "x")

    @name.validator
    def _check(self, attribute, value):
        if " " in value:
            raise UsageError(f"a name without spaces, not {value!r}")

def clean(config):
    return str

@hookimpl
def loomlm_cleaners():
    return [
        Component(
            kind="cleaner", name="wide", summary="s", target=f"{__name__}:clean", config=Config
        )
    ]
"""


def test_a_bound_of_a_list_and_a_check_of_a_class_are_told_at_their_keys(config_file, tmp_path):
    (tmp_path / "mine.py").write_text(KEYS)
    path = config_file(steps="0")
    path.write_text(f"plugins = ['mine.py']\n{path.read_text()}")
    table = "stages.finetune.data.clean=[{ type = 'wide', widths = [0, 3], name = 'a b' }]"

    with pytest.raises(ConfigError) as caught:
        loomlm.load_config(path, set=[table])

    said = "\n".join(map(str, caught.value.problems))
    assert "clean.0.widths: must be >= 1: 0" in said
    assert "clean.0.name: a name without spaces, not 'a b'" in said
    assert "steps: must be >= 1: 0" in said
    right = "stages.finetune.data.clean=[{ type = 'wide', widths = [1, 3] }]"
    assert loomlm.load_config(path, set=[right, "stages.finetune.trainer.steps=1"])


def test_the_schema_bounds_the_items_of_a_list(config_file, tmp_path, loomlm_command):
    (tmp_path / "mine.py").write_text(KEYS)

    schema = json.loads(loomlm_command("config", "schema", "-p", "mine.py").out)
    shown = loomlm_command("plugins", "show", "cleaner:wide", "-p", "mine.py").out

    data = schema["properties"]["stages"]["items"]["properties"]["data"]["anyOf"][0]
    cleaners = data["properties"]["clean"]["items"]["anyOf"]
    (wide,) = (c for c in cleaners if "widths" in c.get("properties", {}))
    assert wide["properties"]["widths"]["items"] == {"type": "integer", "minimum": 1}
    assert "each at least 1" in shown
