"""Training of tokenizers beside the trainers of `tokenizers`, on the same reviews of IMDb.

    python docs/benchmarks/data/training.py DATA [PAIRS [TEXTS [TYPE ...]]]

Ratios of times, ours by theirs, in alternating pairs, of the clock and of the processors' work.
Ours gives the same bytes each time, which the library's trainers of WordPiece and unigram models
do not; for the latter SentencePiece trains.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import tokenizers
from documents import alternating, reviews, told
from tokenizers import models, normalizers, pre_tokenizers, trainers

from loomlm_tokenizers import loomlm_tokenizers

SPECIAL = ["<pad>", "<unk>", "<end>"]


def bpe() -> tuple[tokenizers.Tokenizer, Any]:
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    keys = {"min_frequency": 2, "initial_alphabet": alphabet, "special_tokens": SPECIAL[::2]}
    return made, trainers.BpeTrainer(vocab_size=16000, show_progress=False, **keys)


def wordpiece() -> tuple[tokenizers.Tokenizer, Any]:
    made = tokenizers.Tokenizer(models.WordPiece(unk_token="<unk>"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    keys = {"min_frequency": 2, "special_tokens": SPECIAL}
    return made, trainers.WordPieceTrainer(vocab_size=16000, show_progress=False, **keys)


def word() -> tuple[tokenizers.Tokenizer, Any]:
    made = tokenizers.Tokenizer(models.WordLevel(unk_token="<unk>"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    keys = {"min_frequency": 1, "special_tokens": SPECIAL}
    return made, trainers.WordLevelTrainer(vocab_size=50000, show_progress=False, **keys)


def unigram() -> tuple[tokenizers.Tokenizer, Any]:
    made = tokenizers.Tokenizer(models.Unigram())
    spaces = normalizers.Replace(tokenizers.Regex(r"\s+"), " ")
    steps = [normalizers.Nmt(), normalizers.NFKC(), spaces, normalizers.Strip()]
    made.normalizer = normalizers.Sequence(steps)
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    keys = {"unk_token": "<unk>", "special_tokens": SPECIAL}
    return made, trainers.UnigramTrainer(vocab_size=16000, show_progress=False, **keys)


PEERS = {"bpe": bpe, "wordpiece": wordpiece, "word": word, "unigram": unigram}


def timed(what: Callable[[], Any]) -> Callable[[], tuple[float, float]]:
    def measure() -> tuple[float, float]:
        wall, spent = time.perf_counter(), time.process_time()
        what()
        return time.perf_counter() - wall, time.process_time() - spent

    return measure


def main(data: Path, pairs: int = 5, count: int = 8000, *names: str) -> None:
    texts = reviews(data)[:count]
    components = {component.name: component for component in loomlm_tokenizers()}
    for name in names or PEERS:

        def ours(name: str = name) -> Any:
            component = components[name]
            return component.load().train(component.config(), _one_by_one(texts))

        def theirs(name: str = name) -> None:
            made, trainer = PEERS[name]()
            made.train_from_iterator(_one_by_one(texts), trainer)

        found = alternating(pairs, timed(ours), timed(theirs))
        walls, spent = ([(a[i], b[i]) for a, b in found] for i in (0, 1))
        seconds = " and ".join(f"{median(side):.1f}" for side in zip(*walls, strict=True))
        ratios = (told([one / other for one, other in times]) for times in (walls, spent))
        print(f"{name}: {seconds} s, ratio {', of work '.join(ratios)}", flush=True)


def _one_by_one(texts: list[str]) -> Iterator[str]:
    yield from texts


if __name__ == "__main__":
    folder, *numbers = sys.argv[1:4]
    main(Path(folder), *map(int, numbers), *sys.argv[4:])
