"""The floor: a bare loop in PyTorch, with SDPA, fused AdamW and clipping, and nothing else."""

from __future__ import annotations

import json

import torch
from bare_lstm import Lstm
from gpu_gpt import Bare, Gpt
from sizes import asked, numbers
from timing import mark, measured


def main() -> None:
    given = asked()
    torch.set_num_threads(given.threads)
    made = mark(0)
    model = (Lstm if given.size.recurrent else Gpt)(given.size)
    loop = Bare(given.size, model, numbers(given.size), "cpu", given.bf16)
    loop.run(given.warmup)
    warm = mark(given.warmup)
    loop.run(given.steps - given.warmup)
    print(json.dumps(measured(made, warm, mark(given.steps), {})))


if __name__ == "__main__":
    main()
