"""A compiled step trains as the other does; without a compiler there is a clear word."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from loomlm.components import NoConfig
from loomlm.config.settings import TrainerConfig
from loomlm.contracts import StepContext
from loomlm.errors import UsageError
from loomlm.registry import Registry
from loomlm_torch import compiling
from loomlm_torch.engine import TorchEngine
from loomlm_torch.trainer import TorchTrainer

from ..small import SmallConfig, batch, cut, state

# The compiler wants setuptools, which cannot be imported any more once other tests have run.
pytest.importorskip("setuptools")

pytestmark = pytest.mark.one_backend("torch")


@pytest.fixture
def compiler() -> None:
    try:
        compiling.check("cpu")
    except UsageError as error:
        pytest.skip(str(error))


def train(engine: TorchEngine, first: int, last: int) -> list[float]:
    for step in range(first, last + 1):
        engine.train_step(cut(batch(step), 2), StepContext(step=step, seed=17, learning_rate=0.01))
    return [s.loss for s in engine.scalars()]


@pytest.mark.usefixtures("compiler")
@pytest.mark.filterwarnings("error:Dynamo detected a call to a")
@pytest.mark.parametrize("sparse", [True, False])
def test_compiling_changes_neither_losses_nor_names(make_engine, sparse):
    plain, fast = (make_engine(SmallConfig(sparse), compile=how) for how in (False, True))

    expected = train(plain, 1, 6)

    assert train(fast, 1, 6) == pytest.approx(expected, rel=1e-5)
    found = state(fast)
    assert list(found) == list(state(plain))
    for name, value in state(plain).items():
        assert found[name] == pytest.approx(value, abs=1e-5)
    assert type(fast.module) is type(plain.module)
    assert fast.forward(batch(1)) == pytest.approx(plain.forward(batch(1)), abs=1e-5)


@pytest.mark.usefixtures("compiler")
def test_compiled_dropout_goes_by_seed_step_and_microbatch(make_engine):
    config = SmallConfig(sparse=False, dropout=0.3)
    through, stopped, resumed = (make_engine(config, compile=True) for _ in range(3))

    losses = train(through, 1, 6)
    first = train(stopped, 1, 3)
    for part in ("model", "optimizer"):
        resumed.load_state(part, stopped.state(part))
    torch.manual_seed(99)

    assert first + train(resumed, 4, 6) == losses
    found = state(resumed)
    assert all(np.array_equal(found[name], value) for name, value in state(through).items())
    still = make_engine(SmallConfig(sparse=False), compile=True)
    assert train(still, 1, 6)[0] != pytest.approx(losses[0], abs=1e-4)


def resolve(**keys) -> dict:
    backbone = Registry.load().find("backbone", "mlp").component
    trainer = TrainerConfig(device="cpu", **keys)
    return dict(TorchTrainer(NoConfig()).resolve(trainer, backbone.load()(backbone.config())))


def test_without_a_compiler_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)

    with pytest.raises(UsageError, match=r"compile = true needs a C\+\+ compiler .* or set"):
        resolve(compile=True)
    assert resolve(compile="auto")["compile"][0] is False


@pytest.mark.parametrize(
    ("device", "steps", "width", "triton", "compiler", "expected"),
    [
        ("cuda:0", 1000, 768, True, True, True),
        ("cuda", 5000, 768, False, True, False),
        ("cuda", 5000, 768, True, False, False),
        ("cuda", 999, 768, True, True, False),
        ("cuda", 5000, 384, True, True, False),
        ("cuda", 20_000, 384, True, True, True),
        ("cuda", None, 768, True, True, False),
        ("cpu", 5000, 768, True, True, False),
        ("mps", 5000, 768, True, True, False),
    ],
)
def test_auto_compiles_on_cuda_where_it_can_and_pays(
    monkeypatch, device, steps, width, triton, compiler, expected
):
    monkeypatch.setattr(compiling, "find_spec", lambda name: object() if triton else None)
    monkeypatch.setattr("shutil.which", lambda name: name if compiler else None)

    chosen, reason = compiling.choose(device, steps, width)

    assert chosen is expected
    assert reason


def test_the_compiler_is_not_imported_where_nothing_is_compiled():
    script = (
        "import sys, loomlm_torch.trainer, loomlm_torch.optimizers; "
        "print([m for m in ('torch._dynamo', 'torch._inductor', 'sympy') if m in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
