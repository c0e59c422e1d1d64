"""Processes that train one model together, over torch.distributed: gloo on CPUs, NCCL on GPUs.

Only tensors are sent. What torch.distributed can send of other objects it pickles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal

import torch
import torch.distributed as dist
from attrs import frozen

from loomlm.plugin import LoomlmError, UsageError
from loomlm_torch.engine import TorchEngine
from loomlm_torch.summing import Sums

MEETING = timedelta(minutes=10)
"""How long processes wait for one another at the start, and within an update."""

WAITING = timedelta(days=7)
"""How long the others wait while the leader prepares data, evaluates or saves.

One that has died is noticed at once: its connections are closed.
"""


@frozen
class TorchTeam:
    """See `loomlm.plugin.Team`. between: the group in which the leader is waited for, on CPUs."""

    rank: int
    size: int
    local: int
    between: Any

    @classmethod
    def meet(cls, rank: int, size: int, local: int) -> TorchTeam:
        """Wait for the others, and connect."""
        if not (dist.is_available() and dist.is_gloo_available()):
            raise UsageError("This PyTorch is built without gloo: it trains in one process.")
        gpus = torch.cuda.is_available() and dist.is_nccl_available()
        with _reaching():
            dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=MEETING)
            return cls(rank, size, local, dist.new_group(backend="gloo", timeout=WAITING))

    def device(self, name: str) -> str:
        """See the contract: the leader has the first GPU of its machine, and so on."""
        kind, _, index = name.partition(":")
        if kind == "cpu":
            return name
        if kind != "cuda":
            raise UsageError(
                f"trainer.device = {name!r}: several processes train on CPUs, or on GPUs with CUDA."
            )
        if index not in ("", "0"):
            raise UsageError(
                f"trainer.device = {name!r}: several processes take cuda:0, cuda:1, and so on. "
                "Leave the number out; CUDA_VISIBLE_DEVICES chooses others."
            )
        if self.local >= torch.cuda.device_count():
            raise UsageError(
                f"There are {torch.cuda.device_count()} GPUs here, and more processes. Start one "
                "for each GPU at most."
            )
        torch.cuda.set_device(self.local)
        return f"cuda:{self.local}"

    def send(self, data: bytes) -> bytes:
        """What the leader gives."""
        with _reaching():
            length = torch.tensor([len(data)])
            dist.broadcast(length, 0, group=self.between)
            content = torch.empty(int(length), dtype=torch.uint8)
            if self.rank == 0:
                content.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
            dist.broadcast(content, 0, group=self.between)
        return content.numpy().tobytes()

    def exchange(self, numbers: Sequence[int]) -> list[list[int]]:
        """What each process gives."""
        given = torch.tensor(numbers, dtype=torch.int64)
        found = [torch.empty_like(given) for _ in range(self.size)]
        with _reaching():
            dist.all_gather(found, given, group=self.between)
        return [row.tolist() for row in found]

    def share(self, engine: TorchEngine) -> None:
        """From here on its updates are shared."""
        engine.sums = Sums(self.exchange, _reaching)

    @torch.no_grad()
    def copy(self, engine: TorchEngine, part: Literal["model", "optimizer"]) -> None:
        """Take the leader's state."""
        with _reaching():
            for _, tensor in engine.tensors(part):
                dist.broadcast(tensor.detach(), 0)

    def leave(self) -> None:
        """Part."""
        dist.destroy_process_group()


@contextmanager
def _reaching() -> Iterator[None]:
    """Within, other processes are reached; where they cannot, it is a LoomlmError."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        said = (str(error).splitlines() or [""])[0]
        raise LoomlmError(
            f"Another process of this run has ended, or cannot be reached ({said}). The newest "
            "checkpoint is whole: go on with --resume, on as many processes as you like."
        ) from error
