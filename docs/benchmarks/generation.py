"""Greedy text, token by token: `generate` beside `transformers.generate` with the same weights.

    python docs/benchmarks/generation.py [--pairs 5] [--threads 1] [--tokens 128]

A GPT-2 of Loomlm's (the sizes of sizes.py with a context of 512; biases, GPT-2's GELU) with weights
that hardly learnt is put into `GPT2LMHeadModel`, whose cache and kernels are its defaults. One
prompt, then 16 of unequal length, which `transformers` wants padded on the left. Tokens a second in
alternating pairs, by time and by the processor's work; the time to the first token; and whether
both write the same.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from sizes import SIZES, Size, text
from speed import interval

HERE = Path(__file__).parent
CONTEXT = 512
PROMPTS = 16

Took = tuple[float, float]
"""Seconds, and seconds of work."""


def trained(size: Size, folder: Path) -> Any:
    """A model of one update, loaded."""
    import loomlm

    settings = [f"backbone.{key}={getattr(size, key)}" for key in ("layers", "heads", "width")]
    settings += [
        "backend=torch",
        "backbone.bias=true",
        "backbone.activation=gelu_tanh",
        f"backbone.max_positions={CONTEXT}",
        f"stages.pretrain.task.context={CONTEXT}",
        f"stages.pretrain.data.train={text(folder)}",
        "stages.pretrain.trainer.steps=1",
        "stages.pretrain.trainer.batch_size=4",
    ]
    run = loomlm.run(loomlm.load_config(HERE / "gpt2.toml", set=settings), runs=folder / "runs")
    return loomlm.load_model(run.folder, device="cpu")


def as_gpt2(model: Any, size: Size) -> Any:
    """The same weights in a `GPT2LMHeadModel`."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    weights = model.module.state_dict()
    table = weights["backbone.embedding.weight"]
    sizes = {"n_embd": size.width, "n_layer": size.layers, "n_head": size.heads}
    other = GPT2LMHeadModel(
        GPT2Config(vocab_size=len(table), n_positions=CONTEXT, **sizes, eos_token_id=None)
    )
    named = {"wte.weight": table, "wpe.weight": weights["backbone.positions.weight"]}
    parts = {
        "ln_1": "attention_norm",
        "attn.c_attn": "attention.qkv",
        "attn.c_proj": "attention.out",
        "ln_2": "mlp_norm",
        "mlp.c_fc": "mlp.up",
        "mlp.c_proj": "mlp.down",
    }
    for layer in range(size.layers):
        for theirs, ours in parts.items():
            for kind in ("weight", "bias"):
                value = weights[f"backbone.layers.{layer}.{ours}.{kind}"]
                # Their matrices stand the other way round.
                named[f"h.{layer}.{theirs}.{kind}"] = value.T if value.dim() == 2 else value
    for kind in ("weight", "bias"):
        named[f"ln_f.{kind}"] = weights[f"backbone.norm.{kind}"]
    with torch.no_grad():
        for name, parameter in other.transformer.named_parameters():
            parameter.copy_(named.pop(name))
    assert not named, f"left over: {sorted(named)}"
    return other.eval()


def theirs(model: Any, tokenizer: Any, prompts: list[str], tokens: int) -> list[str]:
    """What `transformers` writes, padded on the left."""
    import torch

    rows = [list(row) for row in tokenizer.encode_many(prompts)]
    longest = max(map(len, rows))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    with torch.inference_mode():
        found = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=tokens,
            do_sample=False,
            pad_token_id=0,
        )
    return [tokenizer.decode(row[longest:].tolist()) for row in found]


def took(function: Callable[[], object]) -> Took:
    start, work = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - start, time.process_time() - work


def compare(name: str, size: Size, given: argparse.Namespace, folder: Path) -> None:
    import torch

    model = trained(size, folder / name)
    torch.set_num_threads(given.threads)
    other, tokenizer = as_gpt2(model, size), model.tokenizer
    corpus = text(folder / name).read_text(encoding="utf-8")
    for count in (1, PROMPTS):
        prompts = [corpus[100 * n : 100 * n + 20 + 2 * n] for n in range(count)]
        writers: dict[str, Callable[[int], list[str]]] = {
            "loomlm": lambda n, p=prompts: model.generate(p, temperature=0, max_tokens=n),
            "transformers": lambda n, p=prompts: theirs(other, tokenizer, p, n),
        }
        written = [writer(given.tokens) for writer in writers.values()]
        same = sum(one == another for one, another in zip(*written, strict=True))
        alone = [model.generate(p, temperature=0, max_tokens=given.tokens) for p in prompts]
        print(f"{name}, batch {count}: {same} of {count} texts are the same as transformers'")
        print(f"{name}, batch {count}: {alone == written[0]}: the same as one by one")
        report(f"{name}, batch {count}", writers, given, count)


def report(what: str, writers: dict[str, Any], given: argparse.Namespace, count: int) -> None:
    taken: dict[str, list[Took]] = {who: [] for who in writers}
    first: dict[str, list[float]] = {who: [] for who in writers}
    for index in range(given.pairs):
        for who in list(writers)[:: 1 if index % 2 == 0 else -1]:
            first[who].append(took(lambda who=who: writers[who](1))[0])
            taken[who].append(took(lambda who=who: writers[who](given.tokens)))
    for who, times in taken.items():
        rate = count * given.tokens / median(seconds for seconds, _ in times)
        print(f"{what}, {who}: {rate:,.0f} tokens/s, first after {median(first[who]) * 1e3:.1f} ms")
    for column, clock in enumerate(("time", "work")):
        pairs = zip(taken["loomlm"], taken["transformers"], strict=True)
        ratios = [peer[column] / ours[column] for ours, peer in pairs]
        low, high, confidence = interval(ratios)
        middle = f"{median(ratios):.2f} ({low:.2f} to {high:.2f}, {confidence:.0%})"
        print(f"{what}: {middle} times as fast, by {clock}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=int, default=128)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        os.environ["LOOMLM_CACHE"] = f"{place}/cache"
        for name in ("small", "medium"):
            (Path(place) / name).mkdir()
            compare(name, SIZES[name], given, Path(place))


if __name__ == "__main__":
    main()
