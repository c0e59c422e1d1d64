"""What a GPU changes: how fast it is. Skipped, saying so, where there is none."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import loomlm
from loomlm.plugin import CheckpointSaved, StepsEnded, hookimpl
from loomlm_torch.graphs import Graph, Graphs
from loomlm_torch.kernels import reproducible
from loomlm_torch.rnn import Layer
from loomlm_torch.transformer import Stack

pytestmark = [
    pytest.mark.one_backend("torch"),
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU here"),
]

TRANSFORMER = {"type": "transformer", "layers": 2, "width": 64, "heads": 4}
LSTM = {"type": "rnn", "layers": 2, "width": 64}
BOTH_WAYS = {"type": "rnn", "layers": 1, "width": 32, "cell": "gru", "bidirectional": True}
WINDOW = {"type": "mlp", "window": 4, "width": 64}
POOLED = {"type": "mlp", "ngrams": 2, "width": 32, "buckets": 500}

WRITES = {"transformer": TRANSFORMER, "lstm": LSTM, "window": WINDOW}
CASES: dict[str, tuple[dict[str, Any], str]] = {
    **{f"{name}, text": (backbone, "causal_lm") for name, backbone in WRITES.items()},
    "transformer, labels": (TRANSFORMER, "classification"),
    "gru both ways, labels": ({**BOTH_WAYS, "pooling": "max"}, "classification"),
    "pooled, labels": (POOLED, "classification"),
}
DROPOUT = {
    "transformer": {"dropout": 0.1},
    "rnn": {"dropout": 0.1, "weight_dropout": 0.1, "embedding_dropout": 0.1},
    "mlp": {"dropout": 0.1},
}

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def make(topics, tmp_path) -> Make:
    """The config of a run of a case; keyword arguments are keys of the trainer."""
    (tmp_path / "corpus.txt").write_text(Path(os.__file__).read_text("utf-8")[:40_000], "utf-8")

    def config(name: str, case: str, dropout: bool = False, **trainer: Any) -> dict[str, Any]:
        backbone, task = CASES[case]
        more = DROPOUT[backbone["type"]] if dropout else {}
        text = {"train": "corpus.txt", "split": {"validation": 0.1, "by": "position"}}
        labelled = {"train": "train.csv", "test": "test.csv", "label": "label"}
        writes = task == "causal_lm"
        return {
            "name": name,
            "backend": "torch",
            "tokenizer": {"type": "character" if writes else "word"},
            "backbone": {**backbone, **more},
            "trainer": {"steps": 40, "batch_size": 16, "device": "cuda", "compile": False}
            | {"learning_rate": 1e-3, **trainer},
            "stages": [
                {
                    "name": "only",
                    "task": {"type": task, "context": 32} if writes else task,
                    "data": text if writes else labelled,
                }
            ],
        }

    return config


def result(run: loomlm.Run) -> tuple[bytes, dict[str, np.ndarray]]:
    """metrics.jsonl and the weights."""
    weights = {n: np.array(v) for n, v in run.model().engine.state("model")}
    return (run.folder / "only" / "metrics.jsonl").read_bytes(), weights


def assert_same(first: loomlm.Run, second: loomlm.Run) -> None:
    (lines, weights), (others, other_weights) = result(first), result(second)
    assert lines == others
    for name, value in weights.items():
        assert np.array_equal(value, other_weights[name]), name


class Losses:
    """The losses of a run's updates."""

    def __init__(self) -> None:
        self.found: list[float] = []

    @hookimpl
    def loomlm_steps_ended(self, event: StepsEnded) -> None:
        self.found += [scalars.loss for scalars in event.scalars]


def losses(config: dict[str, Any]) -> list[float]:
    seen = Losses()
    loomlm.run(config, observers=[seen])
    return seen.found


class KilledError(Exception):
    """The end of a process, as far as one can have it within one."""


class Kill:
    @hookimpl
    def loomlm_checkpoint_saved(self, event: CheckpointSaved) -> None:
        raise KilledError


@pytest.mark.parametrize("case", CASES)
def test_float32_losses_are_those_of_a_cpu(make, case):
    how: dict[str, Any] = {"precision": "fp32", "learning_rate": 3e-4, "steps": 100}
    accumulated = {**how, "accumulate": 2}

    expected = losses(make("there", case, device="cpu", threads=1, **how))
    found = losses(make("here", case, **how))
    cut = losses(make("cut", case, **accumulated))

    assert len(found) == 100
    assert found == pytest.approx(expected, abs=1e-5)
    assert cut == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_exact_runs_give_the_same_bits_also_after_a_kill(make, case):
    def run(name: str, **how: Any) -> loomlm.Run:
        return loomlm.run(make(name, case, dropout=True, checkpoint_every=20, **how))

    first, second = run("first"), run("second")
    assert_same(first, second)

    stopped = make("stopped", case, dropout=True, checkpoint_every=20)
    with pytest.raises(KilledError):
        loomlm.run(stopped, observers=[Kill()])
    assert_same(first, loomlm.run(stopped, resume="must"))


def test_compiled_exact_runs_give_the_same_bits_also_after_a_kill(make):
    case = "transformer, text"
    how: dict[str, Any] = {"dropout": True, "compile": True, "checkpoint_every": 20}
    first = loomlm.run(make("first", case, **how))
    torch._dynamo.reset()
    assert_same(first, loomlm.run(make("second", case, **how)))

    stopped = make("stopped", case, **how)
    with pytest.raises(KilledError):
        loomlm.run(stopped, observers=[Kill()])
    assert_same(first, loomlm.run(stopped, resume="must"))


@pytest.fixture
def replays(monkeypatch) -> list[Graph]:
    """The graphs that are replayed, one for each pass."""
    found: list[Graph] = []
    replay = Graph.replay

    def seen(self: Graph, *given: Any) -> Any:
        found.append(self)
        return replay(self, *given)

    monkeypatch.setattr(Graph, "replay", seen)
    return found


PASSES: dict[str, tuple[str, dict[str, Any]]] = {
    **{case: (case, {}) for case in CASES if not case.startswith("pooled")},
    "in parts": ("transformer, text", {"accumulate": 2}),
    "compiled": ("transformer, text", {"compile": True}),
    "fp16": ("transformer, labels", {"precision": "fp16"}),
    "moving average": ("lstm, text", {"ema": 0.9}),
}


@pytest.mark.parametrize("name", PASSES)
def test_captured_passes_give_the_bits_of_plain_ones(make, replays, monkeypatch, name):
    case, how = PASSES[name]
    captured = loomlm.run(make("captured", case, dropout=True, **how))
    count = len(replays)
    assert count > 20

    monkeypatch.setattr(Graphs, "_has_room", lambda self: False)
    torch._dynamo.reset()
    plain = loomlm.run(make("plain", case, dropout=True, **how))
    assert len(replays) == count
    assert_same(plain, captured)


@pytest.mark.parametrize("backbone", ["transformer", "lstm"])
def test_captured_passes_of_a_translation_give_the_bits_of_plain_ones(
    make, replays, monkeypatch, backbone
):
    words = ("rain", "wind", "snow", "sun", "fog")
    lines = [f"{' '.join(words[i % k] for k in (2, 3, 5))} {words[i % 4]}\n" for i in range(1, 200)]
    Path("source.txt").write_text("".join(lines), "utf-8")
    Path("target.txt").write_text("".join(line.upper() for line in lines), "utf-8")
    config = make("captured", f"{backbone}, text", steps=20)
    config["backbone"] |= {"encoder_decoder": True}
    data = {"train": "source.txt", "targets": {"train": "target.txt"}}
    config["stages"] = [{"name": "only", "task": "translation", "data": data}]
    captured = loomlm.run(config)
    assert len(replays) > 10
    monkeypatch.setattr(Graphs, "_has_room", lambda self: False)
    assert_same(loomlm.run({**config, "name": "plain"}), captured)


def test_tables_that_grow_leave_what_was_captured(make, replays, monkeypatch):
    """Rotary positions have a table of 1,024 places at first, and a row here is longer."""
    seen: list[int] = []
    extend = Stack.extend

    def spied(self: Stack, places: int) -> None:
        seen.append(places)
        extend(self, places)

    monkeypatch.setattr(Stack, "extend", spied)
    longer = "rain and wind " * 700
    Path("valid.csv").write_text(f"text,label\n{longer},weather\n", "utf-8")
    config = make("captured", "transformer, labels", evaluate_every=10)
    config["stages"][0]["task"] = {"type": "classification", "max_tokens": 2000}
    config["stages"][0]["data"]["validation"] = "valid.csv"
    captured = loomlm.run(config)
    assert len(replays) > 20
    assert max(seen) > 1024
    monkeypatch.setattr(Graphs, "_has_room", lambda self: False)
    assert_same(loomlm.run({**config, "name": "plain"}), captured)


@pytest.mark.parametrize("causal", [True, False])
def test_gradients_of_long_rows_are_the_same_bits(causal):
    """Attention sums them over blocks of keys, which may come in any order."""
    generator = torch.Generator("cuda").manual_seed(17)
    shape, how = (16, 12, 2048, 64), {"device": "cuda", "dtype": torch.bfloat16}
    inputs = [torch.randn(shape, generator=generator, **how).requires_grad_() for _ in range(3)]
    mask = None if causal else torch.ones(16, 1, 1, 2048, device="cuda") > 0

    def gradients() -> tuple[torch.Tensor, ...]:
        with reproducible(True, torch.device("cuda")):
            out = F.scaled_dot_product_attention(*inputs, attn_mask=mask, is_causal=causal)
            return torch.autograd.grad(out.float().square().sum(), inputs)

    first = gradients()
    for _ in range(5):
        assert all(map(torch.equal, gradients(), first))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("precision", ["auto", "bf16", "fp16"])
def test_16_bits_are_near_float32(make, case, precision):
    exact = losses(make("exact", case, precision="fp32"))
    found = losses(make("found", case, precision=precision, determinism="fast"))

    assert found != exact or CASES[case][0] == POOLED  # Tables of words have no 16 bits.
    # Where the loss scale is too high at first, an update is left out.
    seen = 1 if precision == "fp16" else 2
    assert found[:seen] == pytest.approx(exact[:seen], abs=0.02)
    assert np.mean(found[-5:]) == pytest.approx(np.mean(exact[-5:]), abs=0.15)


def test_small_gradients_of_an_lstm_are_not_lost_in_bf16():
    """Autocast computes it in float16, where what is below 6e-8 is 0."""
    layer = Layer("lstm", 8, 8, 0.0).cuda()

    with torch.autocast("cuda", torch.bfloat16):
        states, _ = layer(torch.randn(2, 5, 8, device="cuda"))
    (states.float() * 1e-12).sum().backward()

    assert layer.recurrent.weight.grad is not None
    assert layer.recurrent.weight.grad.count_nonzero() > 32


@pytest.mark.parametrize("case", ["transformer, labels", "gru both ways, labels", "pooled, labels"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_model_predicts_on_the_other_device(make, case, device):
    run = loomlm.run(make("run", case, device=device))
    texts = ["rain and wind", "bread", "", "a goal of the season"]

    expected, found = (
        loomlm.load_model(run.folder, device=on).predict(texts) for on in ("cpu", "cuda")
    )

    for one, other in zip(expected, found, strict=True):
        assert other["label"] == one["label"]
        assert other["probabilities"] == pytest.approx(one["probabilities"], abs=1e-4)


@pytest.mark.parametrize("case", [case for case in CASES if case.endswith("text")])
def test_text_is_what_a_cpu_writes(make, case):
    run = loomlm.run(make("run", case, steps=100, learning_rate=3e-3))
    prompts = ["import ", "def walk(top, ", "x"]

    ways: list[dict[str, Any]] = [{"temperature": 0.0}, {"beams": 3}, {"seed": 5}]
    for how in ways:
        expected, found = (
            loomlm.load_model(run.folder, device=on).generate(prompts, max_tokens=60, **how)
            for on in ("cpu", "cuda")
        )
        assert found == expected


def test_memory_stays_as_it_is(make):
    seen: dict[int, int] = {}

    class Watch:
        @hookimpl
        def loomlm_steps_ended(self, event: StepsEnded) -> None:
            seen[event.scalars[-1].step] = torch.cuda.max_memory_allocated()
            torch.cuda.reset_peak_memory_stats()

    config = make("run", "transformer, text", steps=300, evaluate_every="never")
    loomlm.run(config, observers=[Watch()])

    later = [most for step, most in seen.items() if step > 100]
    assert len(later) >= 2
    assert max(later) - min(later) < 2**20


def test_memory_that_is_not_there_is_no_traceback(make):
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-3)
    try:
        with pytest.raises(loomlm.LoomlmError, match=r"not enough memory: CUDA .*batch_size"):
            loomlm.run(make("run", "transformer, text", batch_size=4096))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
