"""10,000 wrong safetensors files and 2,000 wrong model configs: a message, and nothing else."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from loomlm.inference.model import load_model
from loomlm.models.arrays import from_safetensors, to_safetensors
from loomlm.models.fitting import stored_shapes
from loomlm.registry import Registry
from loomlm.storage.commit import commit
from loomlm.storage.foreign import read_json
from loomlm.training.run import run

from .mutating import bounded, mutated, refused

ARRAYS = {
    "backbone.embedding.weight": np.arange(12, dtype=np.float32).reshape(4, 3),
    "head.bias": np.array([-0.0, np.inf], np.float32),
    "counts": np.arange(3),
    "flags": np.array([True, False]),
}
WORDS = [
    *(b'"F32"', b'"F8_E4M3"', b'"BF16"', b'"O"', b"-1", b"9223372036854775808", b"1e999", b"NaN"),
    *(b"[", b"]", b"{", b"}", b'"', b",", b"\0", b"\xff" * 8, b"[" * 3000, b"18446744073709551615"),
    *(b'"dtype":"F64",', b'"shape":[],', b'"data_offsets":[0,0],', b"__metadata__", b"..", b"/"),
]
VALUES = [
    *(None, True, 0, -1, 1, 1.5, 1 << 40, 1 << 62, 1 << 70, float("inf"), "", "x", "../../x", "\0"),
    *([], {}, [[]], {"type": "mlp"}, {"type": 3}, {"_target_": "os:system"}, ["a", 1], "/dev/zero"),
    *("\x1b[2J", [None] * 5, {"a": {"b": []}}, "os:system", [1 << 40, 1 << 40]),
]


@pytest.mark.one_backend
def test_wrong_safetensors_are_refused(times, tmp_path):
    commit(tmp_path / "right", {"a.safetensors": to_safetensors(ARRAYS.items())})
    content = (tmp_path / "right" / "a.safetensors").read_bytes()
    wrong, draw, count = tmp_path / "wrong.safetensors", random.Random(4), times(10_000)
    found = 0
    with bounded():
        for number in range(count):
            # A changed number is no matter of form: it is found by its digest.
            header = mutated(content[8:-60], draw, WORDS)
            length = len(header).to_bytes(8, "little") if number % 2 else content[:8]
            case = length + header + content[-60:]
            wrong.write_bytes(case)
            said = refused(lambda: from_safetensors(wrong), case)
            assert not said or str(wrong) in said
            refused(lambda: stored_shapes(wrong), case)
            found += bool(said)
    assert found > count / 2


@pytest.fixture
def model(config_file) -> Path:
    return run(config_file(steps="2")).folder / "model"


def test_wrong_configs_of_models_are_refused(model, times, tmp_path, monkeypatch):
    registry = Registry.load()
    monkeypatch.setattr(Registry, "load", lambda *words: registry)
    files = {path.name: path.read_bytes() for path in model.iterdir()}
    del files["manifest.json"]
    right = json.loads(files["config.json"])
    draw, wrong, count = random.Random(5), tmp_path / "wrong", times(2000)
    found = 0
    with bounded():
        for number in range(count):
            if number % 4:
                described = json.dumps(changed(right, draw)).encode()
            else:
                described = mutated(files["config.json"], draw, WORDS)
            commit(wrong, {**files, "config.json": described})
            found += bool(refused(lambda: load_model(wrong).predict(["rain"]), described))
    assert found > count / 3


def changed(value: object, draw: random.Random) -> object:
    """A JSON value with one inner value replaced, left out or added."""
    if isinstance(value, dict) and value and draw.random() < 0.85:
        name = draw.choice(list(value))
        if draw.random() < 0.1:
            return {**value, draw.choice(["auto_map", "_target_", "x", ""]): draw.choice(VALUES)}
        if draw.random() < 0.1:
            return {key: inner for key, inner in value.items() if key != name}
        return {**value, name: changed(value[name], draw)}
    if isinstance(value, list) and value and draw.random() < 0.8:
        at = draw.randrange(len(value))
        return [*value[:at], changed(value[at], draw), *value[at + 1 :]]
    return draw.choice(VALUES)


@pytest.mark.one_backend
@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 65 + b"]" * 65])
def test_deep_json_is_refused(content, tmp_path):
    (tmp_path / "a.json").write_bytes(content)
    assert str(tmp_path) in refused(lambda: read_json(tmp_path / "a.json"), content)
