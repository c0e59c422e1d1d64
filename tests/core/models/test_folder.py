"""A model's folder comes back as it was written, or says what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve, frozen

from loomlm.components import Component
from loomlm.config.settings import Choice
from loomlm.config.structure import make_converter, structure
from loomlm.errors import LoomlmError, PluginError, UsageError
from loomlm.models.arrays import from_safetensors
from loomlm.models.folder import WEIGHTS, ModelConfig, read_model, save_model
from loomlm.registry import Registry
from loomlm.storage.commit import DamagedError, commit

ARRAYS = {
    "backbone.embedding.weight": np.arange(12, dtype=np.float32).reshape(4, 3),
    "head.bias": np.array([-0.0, np.inf], np.float32),
}


@frozen
class Files:
    """As much of a tokenizer as a model's folder needs."""

    kept: dict[str, bytes]

    def files(self) -> dict[str, bytes]:
        return self.kept


TOKENIZER: Any = Files({"tokenizer.json": b"{}"})


@pytest.fixture
def registry() -> Registry:
    return Registry.load()


@pytest.fixture
def config(registry: Registry) -> ModelConfig:
    """What is kept of a classification with the mlp; keys that are not the defaults."""

    def choice(kind: str, name: str, **keys: Any) -> Choice:
        cls = registry.find(kind, name).component.config
        value, mistakes = structure(keys, cls, make_converter(registry, Path()))
        assert not mistakes
        return Choice(kind, name, value)

    return ModelConfig(
        backend="torch",
        stage="finetune",
        backbone=choice("backbone", "mlp", width=7, hidden=[5, 3], ngrams=2),
        task=choice("task", "classification", class_weights={"ä": 2.5}),
        tokenizer=choice("tokenizer", "word"),
        clean=(),
        facts={"labels": ["a", "ä", "\ud800"], "counts": [1, 2, 3]},
    )


@pytest.fixture
def folder(config: ModelConfig, registry: Registry, tmp_path: Path) -> Path:
    path = tmp_path / "run" / "model"
    save_model(path, config, registry, TOKENIZER, ARRAYS.items(), "# card")
    return path


@pytest.fixture
def rewrite(folder: Path) -> Callable[..., None]:
    """Writes the folder again with other values in config.json, and a manifest that fits them."""

    def write(**values: Any) -> None:
        files = {path.name: path.read_bytes() for path in folder.iterdir()}
        del files["manifest.json"]
        described = {**json.loads(files["config.json"]), **values}
        files["config.json"] = json.dumps(described).encode()
        commit(folder, files)

    return write


def test_config_weights_and_tokenizer_come_back(folder, config, registry):
    assert read_model(folder, registry) == config
    arrays = from_safetensors(folder / WEIGHTS)
    assert arrays.keys() == ARRAYS.keys()
    assert all(arrays[name].tobytes() == array.tobytes() for name, array in ARRAYS.items())
    assert (folder / "tokenizer.json").read_bytes() == b"{}"
    assert (folder / "README.md").read_text() == "# card"


def test_the_same_model_is_the_same_bytes(folder, config, registry, tmp_path):
    again = tmp_path / "again"
    save_model(again, config, registry, TOKENIZER, ARRAYS.items(), "# card")

    for path in folder.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_it_names_components_and_never_an_import_path(folder):
    text = (folder / "config.json").read_text()

    assert json.loads(text)["made_by"]["backbone:mlp"]["distribution"] == "loomlm"
    assert "loomlm_backbones" not in text
    assert str(Path.cwd()) not in text


@pytest.mark.parametrize("name", ["config.json", WEIGHTS, "tokenizer.json"])
def test_a_damaged_file_is_refused_by_its_name(folder, registry, name):
    data = bytearray((folder / name).read_bytes())
    data[-1] ^= 1
    (folder / name).write_bytes(data)

    with pytest.raises(DamagedError, match=f"{name} has changed since it was written"):
        read_model(folder, registry)


def test_a_missing_or_a_foreign_file_is_refused(folder, registry):
    (folder / "extra.py").write_text("")
    with pytest.raises(DamagedError, match=r"extra.py does not belong there"):
        read_model(folder, registry)
    (folder / "extra.py").unlink()
    (folder / WEIGHTS).unlink()
    with pytest.raises(DamagedError, match=rf"{WEIGHTS} is missing"):
        read_model(folder, registry)


def test_what_is_no_model_is_said_to_be_none(tmp_path, registry):
    with pytest.raises(UsageError, match=r"is not a model: it has no config.json"):
        read_model(tmp_path, registry)
    (tmp_path / "text.safetensors").write_text("these are no weights")
    with pytest.raises(DamagedError, match=r"text.safetensors cannot be read"):
        from_safetensors(tmp_path / "text.safetensors")


def test_a_folder_of_another_format_says_which(folder, registry, rewrite):
    rewrite(format=99)

    with pytest.raises(UsageError, match=r"has format 99; this loomlm reads 1\. Use the version"):
        read_model(folder, registry)


def test_a_component_that_is_not_installed_is_named_with_its_distribution(
    folder, registry, rewrite
):
    made_by = {"backbone:mpl": {"distribution": "their-plugin", "version": "2.1"}}
    rewrite(backbone={"type": "mpl"}, made_by=made_by)

    said = r"no backbone 'mpl'. Did you mean 'mlp'\?.*made with their-plugin 2.1"
    with pytest.raises(PluginError, match=said):
        read_model(folder, registry)


@pytest.mark.parametrize(
    ("backbone", "said"),
    [
        ({"type": "mlp", "depth": 3}, r"backbone\.depth: there is no such key"),
        ({"type": "mlp", "width": "wide"}, r"backbone\.width: expected a whole number"),
    ],
)
def test_keys_that_the_installed_component_does_not_know(folder, registry, rewrite, backbone, said):
    rewrite(backbone=backbone)

    with pytest.raises(LoomlmError, match=said) as raised:
        read_model(folder, registry)
    assert "loomlm 0" in str(raised.value)
    assert str(folder) in str(raised.value)


def test_a_tokenizers_files_must_not_take_the_place_of_the_models(config, registry, tmp_path):
    greedy: Any = Files({WEIGHTS: b"mine"})

    with pytest.raises(PluginError, match=rf"tokenizer 'word' wants to save {WEIGHTS}"):
        save_model(tmp_path / "model", config, registry, greedy, ARRAYS.items(), "")
    assert not (tmp_path / "model").exists()


def test_a_component_version_is_kept(config, registry, tmp_path):
    entry = registry.find("backbone", "mlp")
    newer: Component = evolve(entry.component, version="7")
    registry.entries[registry.entries.index(entry)] = evolve(entry, component=newer)

    save_model(tmp_path / "model", config, registry, TOKENIZER, ARRAYS.items(), "")

    described = json.loads((tmp_path / "model" / "config.json").read_text())
    assert described["made_by"]["backbone:mlp"]["component"] == "7"
