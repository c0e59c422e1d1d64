"""The tiny language model of `ours.toml` as the peers train it, each as its documentation says.

    python docs/benchmarks/reliability/trainees.py PEER FOLDER [--draws]

trains in FOLDER, or goes on from the checkpoint there: 200 updates, a checkpoint after every 20,
dropout 0.1. It writes FOLDER/losses.jsonl, {"step": n, "loss": hex} for every update, and at the
end FOLDER/weights, the SHA-256 of all weights. --draws: a tenth of the input tokens is drawn anew
each time that an example is read, as augmentation does.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

STEPS, EVERY, BATCH, CONTEXT, WIDTH, LAYERS = 200, 20, 8, 64, 64, 2
VOCABULARY = 256
FLIP = 0.1


def tokens() -> np.ndarray:
    """Bytes of Python's own help topics, in rows of `CONTEXT`."""
    from pydoc_data.topics import topics

    text = "\n".join(topics[name] for name in sorted(topics)).encode()
    return np.frombuffer(text[: len(text) // CONTEXT * CONTEXT], np.uint8).reshape(-1, CONTEXT)


def note(folder: Path, step: int, loss: float) -> None:
    """A line for an update."""
    with (folder / "losses.jsonl").open("a") as file:
        file.write(json.dumps({"step": step, "loss": float(loss).hex()}) + "\n")


def end(folder: Path, arrays: Iterable[np.ndarray]) -> None:
    """What the weights came to."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    (folder / "weights").write_text(digest.hexdigest())


def torch_parts(draws: bool) -> tuple[Any, Any]:
    """GPT-2 of that size from `transformers`, and the data set."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.set_num_threads(1)
    torch.manual_seed(0)
    sizes = {"n_layer": LAYERS, "n_embd": WIDTH, "n_head": 2, "n_positions": CONTEXT}
    model = GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, **sizes))
    rows = torch.from_numpy(tokens().astype(np.int64))

    class Rows(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, index: int) -> dict[str, Any]:
            row = rows[index]
            drawn = torch.where(torch.rand(row.shape) < FLIP, 0, row) if draws else row
            return {"input_ids": drawn, "labels": row}

    return model, Rows()


def hugging_face(folder: Path, draws: bool) -> None:
    """https://huggingface.co/docs/transformers/main_classes/trainer"""
    from transformers import Trainer, TrainerCallback, TrainingArguments
    from transformers.trainer_utils import get_last_checkpoint

    class Notes(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if "loss" in logs:
                note(folder, state.global_step, logs["loss"])

    model, rows = torch_parts(draws)
    out = folder / "out"
    arguments = TrainingArguments(
        output_dir=str(out),
        max_steps=STEPS,
        per_device_train_batch_size=BATCH,
        learning_rate=1e-3,
        save_steps=EVERY,
        save_total_limit=2,
        logging_steps=1,
        use_cpu=True,
        seed=0,
        report_to=[],
        disable_tqdm=True,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=rows, callbacks=[Notes()])
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(out)) if out.is_dir() else None)
    end(folder, (value.detach().numpy() for value in model.state_dict().values()))


def lightning(folder: Path, draws: bool) -> None:
    """https://lightning.ai/docs/pytorch/stable/common/checkpointing_basic.html"""
    import torch
    from lightning import LightningModule, Trainer, seed_everything
    from lightning.pytorch.callbacks import ModelCheckpoint

    seed_everything(0, verbose=False)
    model, rows = torch_parts(draws)

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model.train()

        def training_step(self, batch: dict[str, Any], _: int) -> Any:
            loss = self.model(**batch).loss
            note(folder, self.global_step + 1, loss.item())
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=1e-3)

    saving = ModelCheckpoint(
        dirpath=folder / "out",
        every_n_train_steps=EVERY,
        save_last=True,
        save_top_k=2,
        monitor="step",
        mode="max",
    )
    trainer = Trainer(
        max_steps=STEPS,
        accelerator="cpu",
        callbacks=[saving],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        deterministic=True,
        default_root_dir=folder,
    )
    loader = torch.utils.data.DataLoader(rows, batch_size=BATCH, shuffle=True)
    last = folder / "out" / "last.ckpt"
    trainer.fit(Module(), loader, ckpt_path=str(last) if last.exists() else None)
    end(folder, (value.detach().numpy() for value in model.state_dict().values()))


def keras(folder: Path, draws: bool) -> None:
    """https://keras.io/api/callbacks/backup_and_restore/"""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    tf.config.experimental.enable_op_determinism()
    given = keras.Input((CONTEXT,), dtype="int32")
    x = layers.Embedding(VOCABULARY, WIDTH)(given)
    for _ in range(LAYERS):
        inner = layers.LayerNormalization()(x)
        inner = layers.MultiHeadAttention(2, WIDTH // 2, dropout=0.1)(
            inner, inner, use_causal_mask=True
        )
        x = x + layers.Dropout(0.1)(inner)
        inner = layers.Dense(4 * WIDTH, "gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dropout(0.1)(layers.Dense(WIDTH)(inner))
    model = keras.Model(given, layers.Dense(VOCABULARY)(layers.LayerNormalization()(x)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(1e-3), loss)

    class Notes(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            # Keras gives the mean over the epoch so far.
            note(folder, int(self.model.optimizer.iterations.numpy()), logs["loss"])

    rows = tokens().astype(np.int32)
    per_epoch = STEPS // 2
    rows = rows[: per_epoch * BATCH]
    data = tf.data.Dataset.from_tensor_slices((rows[:, :-1], rows[:, 1:]))
    data = data.shuffle(len(rows), seed=0)
    pad = tf.constant([[0, 0], [0, 1]])
    data = data.batch(BATCH).map(lambda x, y: (tf.pad(x, pad), tf.pad(y, pad)))
    if draws:
        data = data.map(lambda x, y: (tf.where(tf.random.uniform(tf.shape(x)) < FLIP, 0, x), y))
    backup = keras.callbacks.BackupAndRestore(str(folder / "out"), save_freq=EVERY)
    model.fit(data, epochs=2, verbose=0, callbacks=[backup, Notes()])
    end(folder, model.get_weights())


PEERS = {"hugging_face": hugging_face, "lightning": lightning, "keras": keras}

if __name__ == "__main__":
    name, place, *options = sys.argv[1:]
    Path(place).mkdir(parents=True, exist_ok=True)
    PEERS[name](Path(place), "--draws" in options)
