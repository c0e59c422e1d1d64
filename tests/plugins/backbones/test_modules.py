"""One's own module as a backbone: the page's example in whole runs, and what cannot be."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from attrs import frozen

import loomlm
from loomlm.config.load import load_config
from loomlm.contracts import BackboneContext, Batch
from loomlm.errors import UsageError
from loomlm.plugin import NoConfig, key
from loomlm.registry import Registry
from loomlm_torch import module_backbone

from ..whole import collated, fit_context, greedy
from .test_runs import CONFIG, metrics

torch = pytest.importorskip("torch", reason="the backend is optional")
nn = torch.nn
pytestmark = pytest.mark.one_backend("torch")

PAGE = Path(__file__).parents[3] / "docs" / "write-a-plugin.md"


def example() -> str:
    """The file that the page shows."""
    return re.findall(r"```python\n(# my_backbone.py\n.*?)```", PAGE.read_text("utf-8"), re.S)[0]


@pytest.fixture
def config(tmp_path, topics) -> Path:
    """A run with the example's backbone, from a corpus to classes."""
    (tmp_path / "corpus.txt").write_text(Path(re.__file__).read_text("utf-8")[:20_000], "utf-8")
    (tmp_path / "my_backbone.py").write_text(example())
    path = tmp_path / "my.toml"
    text = CONFIG.format(backend="torch", backbone='type = "conv"')
    path.write_text(f'plugins = ["my_backbone.py"]\n{text}')
    return path


def test_the_pages_example_learns_to_write_and_to_classify(config):
    done = loomlm.run(load_config(config))

    losses = [float(n) for n in re.findall(r'"loss": ([\d.]+)', metrics(done.folder, "pretrain"))]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.5
    assert done.evaluation["finetune"]["test"]["accuracy"] > 0.5
    model = loomlm.load_model(
        done.folder / "pretrain", plugins=[str(config.parent / "my_backbone.py")]
    )
    assert model.generate("def ", max_tokens=40, seed=1)
    assert loomlm.load_model(done.folder).predict(["the rain and the wind"])[0]["label"]


def test_the_same_seed_gives_the_same_run(config):
    def losses(seed: int, name: str) -> str:
        settings = [f"seed={seed}", f"name='{name}'", "stages.pretrain.trainer.steps=4"]
        settings.append("stages.finetune.trainer.steps=1")
        return metrics(loomlm.run(load_config(config, set=settings)).folder, "pretrain")

    torch.manual_seed(1)
    first = losses(17, "a")
    torch.manual_seed(2)
    assert losses(17, "b") == first
    assert losses(18, "c") != first


def test_loading_the_plugin_imports_no_torch():
    code = "import sys, loomlm_torch; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "False"]


@frozen
class OwnConfig:
    """Keys of the module."""

    width: int = key("size", 6)
    bias: bool = key("whether", True)


class Own(nn.Module):
    """Sums what came before, with one of each form of parameter."""

    def __init__(self, vocab_size: int, width: int, bias: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, width)
        self.layer = nn.Linear(width, width, bias=bias)
        self.fixed = nn.Parameter(torch.ones(width), requires_grad=False)
        self.register_buffer("constant", torch.ones(1), persistent=False)

    def forward(self, batch):
        return self.layer(self.embedding(batch["tokens"])).tanh().cumsum(1) * self.fixed


class Stepping(Own):
    """The same with a way to go on."""

    def start(self, batch, room):
        hidden = self(batch)
        total = hidden[torch.arange(len(hidden)), batch["length"].long() - 1]
        return total, {"total": total.clone()}

    def step(self, cache, tokens):
        cache["total"] += self.layer(self.embedding(tokens)).tanh() * self.fixed
        return cache["total"]


ROWS = [[3, 1, 4, 1, 5], [9, 2], [6]]
CONTEXT = BackboneContext(vocab_size=20, pad_id=0, reads="tokens", causal=True)


def made(module, **more):
    """The backbone's component and builder."""
    backbones, builders = module_backbone("own", module, **{"config": OwnConfig, **more})
    (component,), (builder,) = backbones(), builders()
    return component, builder


@pytest.fixture
def own_model(small_model, monkeypatch):
    """A small whole model around a module."""

    def make(module, task="causal_lm", **more):
        component, builder = made(module, causal=True, **more)
        find, build = Registry.find, Registry.builder

        def found(self, kind, name):
            entry = find(self, kind, "mlp" if name == "own" else name)
            return type(entry)(component=component, plugin=entry.plugin) if name == "own" else entry

        def built(self, kind, name, backend):
            return builder.load() if name == "own" else build(self, kind, name, backend)

        monkeypatch.setattr(Registry, "find", found)
        monkeypatch.setattr(Registry, "builder", built)
        return small_model("own", task)

    return make


def test_the_layout_is_the_modules(make_backbone):
    component, _ = made(Own)
    backbone = component.load()(OwnConfig(width=4))
    layout = {p.name: p for p in backbone.parameters(CONTEXT)}

    assert {name: (p.shape, p.role, p.decay, p.trainable) for name, p in layout.items()} == {
        "module.fixed": ((4,), "vector", False, False),
        "module.embedding.weight": ((20, 4), "embedding", True, True),
        "module.layer.weight": ((4, 4), "matrix", True, True),
        "module.layer.bias": ((4,), "vector", False, True),
    }
    assert backbone.width == 4
    assert len(component.load()(OwnConfig(bias=False)).parameters(CONTEXT)) == 3


def test_initial_values_are_the_modules_own_under_the_seed():
    component, _ = made(Own)
    torch.manual_seed(17)
    expected = Own(2, 6, True)
    before = torch.get_rng_state()

    fitted = component.load()(OwnConfig()).fit(fit_context([[1]], ["a", "b"]))

    assert torch.equal(torch.get_rng_state(), before)
    for name, value in expected.named_parameters():
        rows, values = fitted.rows[f"module.{name}"]
        assert rows.tolist() == list(range(len(value)))
        assert np.array_equal(values, value.detach().numpy())


@pytest.mark.parametrize("module", [Own, Stepping])
def test_token_by_token_gives_what_the_whole_row_gives(own_model, module):
    model = own_model(module)
    prompt = Batch({name: collated(ROWS, 5)[name] for name in ("tokens", "length")})

    found = greedy(model, prompt, 8)

    for row, tokens in enumerate(ROWS):
        grown = list(tokens)
        for step in range(8):
            logits = model.forward([grown])[0, -1]
            logits[0] = -np.inf
            grown.append(int(logits.argmax()))
            assert found[row][step] == grown[-1]


def test_a_text_is_the_mean_of_its_tokens_and_padding_changes_nothing(own_model):
    model = own_model(Own, "classification")
    alone = [model.forward([row])[0] for row in ROWS]

    assert model.forward(ROWS, 9) == pytest.approx(np.array(alone), abs=1e-6)


def test_a_module_may_give_one_vector_a_text_but_not_to_a_language_model(own_model):
    class First(Own):
        def forward(self, batch):
            return super().forward(batch)[:, 0]

    assert own_model(First, "classification").forward(ROWS).shape == (3, 3)
    with pytest.raises(UsageError, match="gives states of shape .3, 6. for tokens of shape .3, 5."):
        own_model(First).forward(ROWS)


def test_a_width_that_is_not_so_is_said(own_model):
    with pytest.raises(UsageError, match="'own' gives states of shape .* wanted is .3, 5, 7."):
        own_model(Own, width=7).forward(ROWS)
    with pytest.raises(UsageError, match="'own' does not say how wide its states are. Give mod"):
        made(Own, config=NoConfig)[0].load()(NoConfig()).width  # noqa: B018


def test_what_no_checkpoint_would_keep_is_refused():
    class Normed(Own):
        def __init__(self, *given, **keys) -> None:
            super().__init__(*given, **keys)
            self.norm = nn.BatchNorm1d(6)

    class Scalar(Own):
        def __init__(self, *given, **keys) -> None:
            super().__init__(*given, **keys)
            self.scale = nn.Parameter(torch.ones(()))

    with pytest.raises(UsageError, match="the buffer 'norm.running_mean', which no checkpoint"):
        made(Normed)[0].load()(OwnConfig()).parameters(CONTEXT)
    with pytest.raises(UsageError, match="'scale' without a dimension"):
        made(Scalar)[0].load()(OwnConfig()).parameters(CONTEXT)


def test_what_it_can_do_is_what_it_says():
    assert "causal" in made(Own, causal=True)[0].load()(OwnConfig()).capabilities
    assert "causal" not in made(Own)[0].load()(OwnConfig()).capabilities
    assert made(Own, longest=9)[0].load()(OwnConfig()).longest == 9
