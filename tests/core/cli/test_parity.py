"""`loomlm doctor --parity`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")

AGAIN = """
from attrs import evolve
from loomlm.plugin import Builder, Component, hookimpl

@hookimpl
def loomlm_trainers():
    return [Component(
        kind="trainer", name="again", summary="PyTorch once more", requires=("torch",),
        target=__name__ + ":trainer",
    )]

@hookimpl
def loomlm_builders():
    return [
        Builder(kind=kind, name=name, backend="again", target=f"loomlm_torch.{target}")
        for kind, name, target in [
            ("backbone", "mlp", "mlp:build"),
            ("optimizer", "adamw", "optimizers:AdamW"),
        ]
    ]

def trainer(config):
    from loomlm_torch.trainer import TorchTrainer

    class Again(TorchTrainer):
        def engine(self, spec, trainer, builders):
            return super().engine(spec, evolve(trainer, gradient_clip=CLIP), builders)

    return Again(config)
"""


@pytest.fixture
def again(tmp_path: Path):
    """Writes a plugin with another backend, which clips gradients at a norm."""

    def write(clip: float) -> Path:
        path = tmp_path / "again.py"
        path.write_text(f"{AGAIN}\nCLIP = {clip}\n")
        return path

    return write


def test_backends_that_agree(again, loomlm_command):
    done = loomlm_command("doctor", "--parity", "-p", "no:tensorflow", "-p", again(0.2))

    assert done.code == 0, done.out
    header = next(line for line in done.out.splitlines() if line.startswith("case "))
    assert header.split() == ["case", "check", "difference", "limit"]
    rows = [line.split() for line in done.out.splitlines() if line.startswith("mlp/")]
    assert len(rows) > 10
    assert {row[-1] for row in rows} == {"pass"}
    assert {row[-3] for row in rows} == {"0.0e+00"}
    assert "Not compared: backbone rnn: it has no builder for again." in done.out
    assert "Not compared: optimizer muon: it has no builder for again." in done.out
    lines = [line for line in done.err.splitlines() if not line.startswith("Loading code")]
    assert lines[0].startswith(f"1/{len(rows)}  mlp/pooled")


def test_backends_that_do_not(again, loomlm_command):
    done = loomlm_command("doctor", "--parity=some", "-p", "no:tensorflow", "-p", again(0.1))

    assert done.code == 1
    failed = [line for line in done.out.splitlines() if line.endswith("FAIL")]
    assert failed
    assert all(" loss adamw" in line or " resume adamw" in line for line in failed)
    said = [line for line in done.out.splitlines() if line.startswith("FAIL: ")]
    assert len(said) == len(failed)
    assert " clipped, the worst at step " in said[0]
    folder = Path(done.out.splitlines()[-1].removeprefix("What was run is in ").rstrip("."))
    assert (folder / "again" / "worker.log").is_file()


def test_one_backend_alone(loomlm_command):
    done = loomlm_command("doctor", "--parity", "-p", "no:tensorflow")

    assert done.code == 2
    assert done.err == (
        "Error: Parity is between two backends. There is torch alone. Install another.\n"
    )
