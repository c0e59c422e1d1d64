"""Hugging Face: `GPT2LMHeadModel` trained by `Trainer`."""

from __future__ import annotations

import json
import tempfile

import torch
from sizes import Asked, asked, numbers
from timing import mark, measured
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    default_data_collator,
)


class Windows(torch.utils.data.Dataset):
    """Windows of a text, one after another; the trainer draws them in a random order."""

    def __init__(self, data: torch.Tensor, context: int) -> None:
        self.rows = data[: len(data) // context * context].view(-1, context)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.rows[index], "labels": self.rows[index]}


class Clock(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step, self.at = step, mark(0)

    def on_step_end(self, args, state, control, **more) -> None:
        if state.global_step == self.step:
            self.at = mark(self.step)


def main(given: Asked) -> None:
    torch.set_num_threads(given.threads)
    size = given.size
    data = Windows(torch.from_numpy(numbers(size).astype("int64")), size.context)
    made, clock = mark(0), Clock(given.warmup)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=size.vocabulary,
            n_positions=size.context,
            n_embd=size.width,
            n_layer=size.layers,
            n_head=size.heads,
            resid_pdrop=0,
            embd_pdrop=0,
            attn_pdrop=0,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    with tempfile.TemporaryDirectory() as place:
        arguments = TrainingArguments(
            output_dir=place,
            use_cpu=True,
            bf16=given.bf16,
            max_steps=given.steps,
            per_device_train_batch_size=size.batch,
            learning_rate=1e-3,
            weight_decay=0.1,
            optim="adamw_torch_fused",
            lr_scheduler_type="cosine",
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(
            model,
            arguments,
            train_dataset=data,
            data_collator=default_data_collator,
            callbacks=[clock],
        )
        trainer.train()
    print(json.dumps(measured(made, clock.at, mark(given.steps), {})))


if __name__ == "__main__":
    main(asked())
