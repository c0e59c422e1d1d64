"""nanoGPT: its model and its optimizer, in the loop of its `train.py` without the evaluations.

NANOGPT names a folder with github.com/karpathy/nanoGPT.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from pathlib import Path

import torch
from gpu_gpt import NanoGpt
from sizes import Asked, asked, numbers
from timing import mark, measured


def main(given: Asked) -> None:
    torch.set_num_threads(given.threads)
    torch.manual_seed(1337)
    size, data = given.size, numbers(given.size)
    made = warm = mark(0)
    with contextlib.redirect_stdout(sys.stderr):
        model = NanoGpt(size, Path(os.environ["NANOGPT"])).gpt
        optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu")
    half = torch.amp.autocast("cpu", torch.bfloat16) if given.bf16 else contextlib.nullcontext()
    scaler = torch.amp.GradScaler("cuda", enabled=False)

    def rows(starts):
        parts = [data[i : i + size.context].astype("int64") for i in starts]
        return torch.stack([torch.from_numpy(part) for part in parts])

    def batch():
        starts = torch.randint(len(data) - size.context, (size.batch,))
        return rows(starts), rows(starts + 1)

    tokens, label = batch()
    for step in range(given.steps):
        if step == given.warmup:
            warm = mark(step)
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * 0.5 * (1 + math.cos(math.pi * step / given.steps))
        with half:
            _, loss = model(tokens, label)
        tokens, label = batch()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
        if step % 10 == 0:
            loss.item()
    print(json.dumps(measured(made, warm, mark(given.steps), {})))


if __name__ == "__main__":
    main(asked())
