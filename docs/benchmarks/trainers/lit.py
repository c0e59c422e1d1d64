"""LitGPT: its model, trained by its own `pretrain`, on windows of the text."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from pathlib import Path

import torch
from litgpt import Config
from litgpt.args import EvalArgs, LogArgs, TrainArgs
from litgpt.data import DataModule
from litgpt.pretrain import setup
from sizes import Asked, asked, numbers, windows
from timing import mark, measured
from torch.utils.data import DataLoader, IterableDataset


class Rows(IterableDataset):
    """Batches; it notes when one is asked for, which is when the update before has ended."""

    def __init__(self, given: Asked) -> None:
        self.given, self.marks = given, []

    def __iter__(self):
        size = self.given.size
        for step, (tokens, label) in enumerate(windows(size, numbers(size))):
            self.marks.append(mark(step))
            yield torch.cat([torch.from_numpy(tokens), torch.from_numpy(label[:, -1:])], dim=1)


class Windows(DataModule):
    """The same as LitGPT takes it."""

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self.rows = rows

    def connect(self, tokenizer=None, batch_size: int = 1, max_seq_length=None) -> None:
        pass

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.rows, batch_size=None)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(Rows(self.rows.given), batch_size=None)


def main(given: Asked) -> None:
    torch.set_num_threads(given.threads)
    size, rows = given.size, Rows(given)
    # It notes the command line beside its checkpoint, and reads it as its own.
    sys.argv[1:] = ["pythia-14m"]
    config = Config(
        block_size=size.context,
        vocab_size=size.vocabulary,
        padded_vocab_size=size.vocabulary,
        n_layer=size.layers,
        n_head=size.heads,
        n_embd=size.width,
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        norm_class_name="LayerNorm",
        mlp_class_name="GptNeoxMLP",
        intermediate_size=4 * size.width,
    )
    made = mark(0)
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(sys.stderr):
        setup(
            model_name="pythia-14m",
            model_config=config,
            out_dir=Path(place),
            precision="bf16-mixed" if given.bf16 else "32-true",
            data=Windows(rows),
            train=TrainArgs(
                save_interval=None,
                log_interval=10_000,
                global_batch_size=size.batch,
                micro_batch_size=size.batch,
                max_tokens=given.steps * size.tokens,
                max_norm=1.0,
                lr_warmup_steps=1,
                tie_embeddings=True,
            ),
            eval=EvalArgs(interval=10_000, max_iters=1, initial_validation=False),
            log=LogArgs(),
            devices=1,
            logger_name="csv",
        )
    marks = rows.marks
    print(json.dumps(measured(made, marks[given.warmup], marks[given.steps - 1], {})))


if __name__ == "__main__":
    main(asked())
