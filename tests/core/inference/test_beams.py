"""Beam search, against a search through every text."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from loomlm.inference.beams import beam_search
from loomlm.inference.decoding import Decoding

from .conftest import END, hashed

OUTPUTS = 3
LONGEST = 4


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum())


def logits_of(seed: int):
    return lambda row: hashed([seed, *row], 2, OUTPUTS)


def mean_log(logits, prompt: list[int], text: list[int]) -> float:
    """The mean of the logarithms of a text's tokens."""
    logs = [log_softmax(logits([*prompt, *text[:at]]))[token] for at, token in enumerate(text)]
    return sum(logs) / len(logs)


def best_of_all(logits, prompt: list[int], penalty: float = 1.0) -> list[int]:
    """The text that is best of all that end or are as long as may be; by the mean, or its sum by
    length ** penalty. With its end token.
    """
    texts = [
        [*tokens, END] if len(tokens) < LONGEST else list(tokens)
        for length in range(LONGEST + 1)
        for tokens in product(range(1, OUTPUTS), repeat=length)
    ]
    return max(texts, key=lambda text: mean_log(logits, prompt, text) * len(text) ** (1 - penalty))


@pytest.mark.parametrize("seed", range(12))
def test_with_beams_enough_the_best_text_of_all_is_found(fake, seed):
    logits = logits_of(seed)
    running = fake(logits).running(["ab", "c", ""])
    prompts = [list(row) for row in running.tokens]

    found = beam_search(running, END, 40, LONGEST)

    best = [best_of_all(logits, prompt) for prompt in prompts]
    assert [one.tokens for one in found] == [[t for t in text if t != END] for text in best]


@pytest.mark.parametrize("seed", range(6))
def test_one_beam_is_greedy(fake, seed):
    made = fake(lambda row: hashed([seed, *row]), banned=(1, 2))
    (found,) = beam_search(made.running(["ab"]), END, 1, 12)

    greedy = made.generator.texts(["ab"], Decoding(temperature=0, max_tokens=12))[0]
    assert "".join("abcdefg"[token - 3] for token in found.tokens) == greedy


def test_two_beams_find_what_greedy_misses(fake):
    """a is likelier than b at first, but what follows b is certain."""

    def logits(row):
        table = {
            (3,): [0.0, 0, 0, 0.55, 0.45],
            (3, 3): [0.2, 0, 0, 0.4, 0.4],
            (3, 4): [1.0, 0, 0, 0, 0],
        }
        return np.log(np.array(table.get(tuple(row), [1, 0, 0, 0, 0])) + 1e-9)

    assert fake(logits).generator.texts(["a"], Decoding(temperature=0))[0] in ("aa", "ab")
    assert fake(logits).generator.texts(["a"], Decoding(beams=2)) == ["b"]


@pytest.mark.parametrize("penalty", [0.0, 0.5, 2.0])
def test_the_length_penalty_says_what_texts_are_compared_by(fake, penalty):
    """With so many beams, the text is best of all by its sum over length ** penalty."""
    logits = logits_of(3)
    running = fake(logits).running(["ab"])
    (prompt,) = [list(row) for row in running.tokens]

    (found,) = beam_search(running, END, 40, LONGEST, penalty)

    best = best_of_all(logits, prompt, penalty)
    assert found.tokens == [token for token in best if token != END]
    assert found.score == pytest.approx(mean_log(logits, prompt, best))
    assert found.log == pytest.approx(mean_log(logits, prompt, best) * len(best))


def test_a_higher_penalty_gives_longer_texts(fake):
    def written(penalty):
        runnings = [fake(logits_of(seed)).running(["ab"]) for seed in range(8)]
        found = [beam_search(one, END, 40, LONGEST, penalty)[0] for one in runnings]
        return sum(one.count for one in found)

    assert written(-1.0) <= written(0.0) < written(1.0) < written(4.0)


def test_a_longer_text_is_not_worse_for_its_length(fake):
    """b: 0.4. aaaa: 0.6 * 0.9 ** 4, which is less, but more for each token."""

    def logits(row):
        if len(row) == 1:
            return np.log([1e-9, 1e-9, 1e-9, 0.6, 0.4])
        if row[-1] == 4:
            return np.log([1, 1e-9, 1e-9, 1e-9, 1e-9])
        end = len(row) == 5
        return np.log([0.9 if end else 0.05, 1e-9, 1e-9, 0.05 if end else 0.9, 0.05])

    assert fake(logits).generator.texts(["a"], Decoding(beams=3)) == ["aaaa"]


@pytest.mark.parametrize("beams", [2, 3])
def test_prompts_are_searched_each_for_itself(fake, beams):
    how = Decoding(beams=beams, max_tokens=14)
    prompts = ["abcd", "", "g"]
    together = fake(hashed, context=8).generator.texts(prompts, how)

    alone = [fake(hashed, context=8).generator.texts([text], how)[0] for text in prompts]
    assert together == alone


def test_nothing_is_drawn(fake):
    def write(seed):
        return fake(hashed).generator.texts(["ab"], Decoding(beams=4, seed=seed))

    assert write(0) == write(1)


def test_a_prompt_whose_texts_have_ended_is_no_longer_read(fake):
    def logits(row):
        """Behind b, the end; else anything but the end."""
        scores = hashed(row)
        scores[END] = 99 if row[0] == 4 else -99
        return scores

    made = fake(logits)
    made.generator.texts(["b", "a"], Decoding(beams=2, max_tokens=6))

    assert made.engine.steps == [4, 2, 2, 2, 2]


def test_with_a_source_texts_stop_where_their_room_ends(fake):
    def logits(row):
        scores = np.zeros(10)
        scores[3 + len(row) % 2] = 5
        return scores

    made = fake(logits, context=4, encoder_decoder=True)

    assert made.generator.texts(["", "aaa"], Decoding(beams=2)) == ["baba", "ba"]


def test_more_beams_than_tokens(fake):
    assert fake(lambda row: np.arange(10.0)).generator.texts(
        ["a"], Decoding(beams=50, max_tokens=3)
    ) == ["ggg"]


def test_a_stream_with_beams_is_one_piece(fake):
    made = fake(hashed)
    how = Decoding(beams=2, max_tokens=10)

    assert list(made.generator.stream("ab", how)) == made.generator.texts(["ab"], how)
