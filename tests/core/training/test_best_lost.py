"""The best checkpoint is damaged: nothing is passed off as the best weights that is not."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

import loomlm
from loomlm.plugin import hookimpl
from loomlm.training import loop

pytestmark = pytest.mark.one_backend
BEST = Path("runs/small/finetune/checkpoints/00000005/model.safetensors")


class Damage:
    """Flips a bit of the first checkpoint at a step's evaluation; then the run may fail."""

    def __init__(self, step: int, fails: bool) -> None:
        self.step, self.fails = step, fails

    @hookimpl
    def loomlm_evaluated(self, event) -> None:
        if event.step != self.step:
            return
        content = bytearray(BEST.read_bytes())
        content[-1] ^= 1
        BEST.write_bytes(content)
        if self.fails:
            raise loomlm.LoomlmError("power")


class Listener:
    def __init__(self) -> None:
        self.said: list[str] = []

    @hookimpl
    def loomlm_progress(self, event) -> None:
        self.said.append(event.message)


@pytest.fixture
def path(config_file, monkeypatch) -> Path:
    """A run of 20 steps, of which the first evaluation, at step 5, is the best."""
    losses = count()
    monkeypatch.setattr(loop, "_score", lambda *_: float(next(losses)))
    path = config_file(steps="20", evaluate_every="5", checkpoint_every="5", keep_best='"loss"')
    path.write_text(
        path.read_text().replace('label = "label" }', 'label = "label", split.validation = 0.2 }')
    )
    return path


def weights() -> bytes:
    return Path("runs/small/model/model.safetensors").read_bytes()


def test_a_run_ends_with_the_best_weights(path):
    run = loomlm.run(path)
    assert weights() == BEST.read_bytes()
    assert run.evaluation


def test_at_the_end_the_user_decides(path):
    with pytest.raises(
        loomlm.LoomlmError, match=r"00000005.model\.safetensors has changed.*step 5, are lost"
    ):
        loomlm.run(path, observers=[Damage(20, fails=False)])
    assert not Path("runs/small/model").exists()

    loomlm.run(path, resume="must")
    last = Path("runs/small/finetune/checkpoints/00000020/model.safetensors")
    assert weights() == last.read_bytes()


def test_a_run_that_goes_on_says_so_and_keeps_the_best_of_what_follows(path):
    with pytest.raises(loomlm.LoomlmError, match="power"):
        loomlm.run(path, observers=[Damage(15, fails=True)])
    listener = Listener()
    loomlm.run(path, resume="must", observers=[listener])

    (said,) = [text for text in listener.said if "best checkpoint" in text]
    assert "that of step 5, cannot be used" in said and "model.safetensors has changed" in said
    kept = Path("runs/small/finetune/checkpoints/00000015/model.safetensors")
    assert weights() == kept.read_bytes()
