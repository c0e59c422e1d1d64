"""The gradients of several processes, summed: dense ones in large pieces, sparse ones by rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.distributed as dist
from attrs import frozen
from torch import Tensor

from loomlm_torch.updates import coalesced

PIECE = 1 << 24
"""Numbers that are sent at once, 64 MiB: many small messages would take longer."""

NONE, DENSE = -2, -1
"""What a process says of a gradient that is not there, or has all rows; else it counts the rows."""


@frozen
class Sums:
    """Sums gradients over all processes, each in the same order, so that all get the same bits.

    exchange, reaching: see TorchTeam.
    """

    exchange: Callable[[Sequence[int]], list[list[int]]]
    reaching: Callable[[], AbstractContextManager[None]]

    @torch.no_grad()
    def over_all(self, values: Sequence[Tensor], loss: Tensor) -> Tensor:
        """Give each parameter the sum of its gradients, and give the sum of the losses.

        A parameter that has a gradient nowhere has none afterwards: it takes no part in the update,
        as on one process.
        """
        rows = {index: _rows(value) for index, value in enumerate(values)}
        told = self.exchange([_form(value, rows[index]) for index, value in enumerate(values)])
        with self.reaching():
            dense = []
            for index, (value, *forms) in enumerate(zip(values, *told, strict=True)):
                if DENSE in forms:
                    dense.append(value)
                elif max(forms) != NONE:
                    counts = [max(form, 0) for form in forms]
                    value.grad = self._by_rows(value, rows[index], counts)
            return self._whole(dense, loss)

    def _whole(self, values: Sequence[Tensor], loss: Tensor) -> Tensor:
        total = loss.reshape(1).clone()
        going = [dist.all_reduce(total, async_op=True)]
        for piece in _pieces(values):
            parts = [
                (torch.zeros_like(value) if value.grad is None else value.grad).flatten()
                for value in piece
            ]
            flat = torch.cat(parts)
            going.append(dist.all_reduce(flat, async_op=True))
            # The sums stand in the flat tensor from here on: they are not copied back.
            for value, part in zip(piece, flat.split([p.numel() for p in parts]), strict=True):
                value.grad = part.view_as(value)
        for work in going:
            assert work is not None
            work.wait()
        return total[0]

    def _by_rows(
        self, value: Tensor, given: tuple[Tensor, Tensor] | None, counts: list[int]
    ) -> Tensor:
        """A sparse gradient with the rows of all processes, which the update sums.

        Rows are padded to the most that a process has, since all have to send as many.
        """
        most = max(counts)
        index = torch.zeros(most, dtype=torch.int64, device=value.device)
        rows = torch.zeros(most, *value.shape[1:], device=value.device)
        if given is not None:
            index[: len(given[0])], rows[: len(given[0])] = given
        indices, parts = self._gathered(index, counts), self._gathered(rows, counts)
        return torch.sparse_coo_tensor(
            indices[None], parts, tuple(value.shape), check_invariants=False
        )

    def _gathered(self, part: Tensor, counts: list[int]) -> Tensor:
        found = [torch.empty_like(part) for _ in counts]
        if len(part):
            dist.all_gather(found, part)
        return torch.cat([one[:count] for one, count in zip(found, counts, strict=True)])


def _rows(value: Tensor) -> tuple[Tensor, Tensor] | None:
    """The rows of a sparse gradient, each once."""
    gradient: Any = value.grad
    return coalesced(gradient) if gradient is not None and gradient.is_sparse else None


def _form(value: Tensor, rows: tuple[Tensor, Tensor] | None) -> int:
    if rows is not None:
        return len(rows[0])
    return NONE if value.grad is None else DENSE


def _pieces(values: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Parameters together, each piece as large as may be sent at once, or of one parameter."""
    piece: list[Tensor] = []
    numbers = 0
    for value in values:
        if piece and numbers + value.numel() > PIECE:
            yield piece
            piece, numbers = [], 0
        piece.append(value)
        numbers += value.numel()
    if piece:
        yield piece
