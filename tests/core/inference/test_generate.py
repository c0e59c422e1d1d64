"""Writing with an engine whose logits are known: which tokens are read, and when a row ends."""

from __future__ import annotations

import numpy as np
import pytest

from loomlm.inference.decoding import Decoding

from .conftest import END, OUTPUTS, PAD, UNKNOWN, hashed

GREEDY = Decoding(temperature=0, max_tokens=6)


def likes(token: int) -> np.ndarray:
    logits = np.zeros(OUTPUTS)
    logits[token] = 9
    return logits


def following(row: list[int]) -> np.ndarray:
    """Logits of the letter behind the last, and of the end behind g."""
    return likes(END if row[-1] == OUTPUTS - 1 else max(row[-1], UNKNOWN) + 1)


def test_greedy_goes_on_to_the_end_of_the_document(fake):
    made = fake(following)

    assert made.generator.texts(["a"], Decoding(temperature=0)) == ["bcdefg"]
    assert made.generator.texts(["", "e"], Decoding(temperature=0)) == ["abcdefg", "fg"]


def test_max_tokens_are_read_no_further_than_they_must_be(fake):
    made = fake(following)

    assert made.generator.texts(["a"], Decoding(temperature=0, max_tokens=3)) == ["bcd"]
    assert made.engine.steps == [1, 1]


def test_a_row_that_has_ended_is_no_longer_read(fake):
    made = fake(following)

    texts = made.generator.texts(["f", "a", "d"], Decoding(temperature=0))

    assert texts == ["g", "bcdefg", "efg"]
    assert made.engine.steps == [3, 2, 2, 1, 1, 1]


def seldom_ends(row: list[int]) -> np.ndarray:
    logits = hashed(row)
    logits[END] -= 0.5
    return logits


def test_rows_of_unequal_length_write_what_each_writes_alone(fake):
    prompts = ["a", "gfedcba", "", "bb", "fed"]
    how = Decoding(temperature=0, max_tokens=30)
    together = fake(seldom_ends, context=9).generator.texts(prompts, how)

    alone = [fake(seldom_ends, context=9).generator.texts([text], how)[0] for text in prompts]
    assert together == alone
    assert len({len(text) for text in together}) > 1
    assert max(map(len, together)) == 30


def test_past_the_context_the_last_half_is_read_again(fake):
    made = fake(lambda row: likes(3 + len(row) % 7), context=6)

    made.generator.texts(["abcd"], Decoding(temperature=0, max_tokens=6))

    first, again, *_ = made.engine.starts
    assert len(first[0]) == 4
    # 4 tokens and 2 new ones fill the context; with the third new one, 3 are kept.
    assert len(again[0]) == 3
    assert len(made.engine.starts) == 2


def test_a_row_within_the_context_is_kept_whole_when_another_is_cut(fake):
    made = fake(lambda row: likes(3), context=6)

    made.generator.texts(["abcdef", "bcd"], Decoding(temperature=0, max_tokens=2))

    assert made.engine.starts[1] == [[7, 8, 3], [4, 5, 6, 3]]


def test_with_a_source_a_row_stops_where_its_room_ends(fake):
    made = fake(lambda row: likes(3), context=5, encoder_decoder=True)

    assert made.generator.texts(["", "bb"], Decoding(temperature=0)) == ["aaaaa", "aaaa"]
    assert len(made.engine.starts) == 1


def test_tokens_that_stand_for_no_text_are_not_said(fake):
    def logits(row):
        return likes(PAD) + likes(UNKNOWN) + 0.5 * likes(4)

    assert fake(logits).generator.texts(["a"], GREEDY) == ["bbbbbb"]


def test_the_same_seed_gives_the_same_text_and_another_another(fake):
    def write(seed):
        return fake(hashed).generator.texts(["abc", "abc"], Decoding(seed=seed, max_tokens=20))

    assert write(1) == write(1)
    assert write(1) != write(2)
    assert write(1)[0] != write(1)[1]


def test_many_prompts_are_written_in_parts_and_each_draws_its_own(fake):
    def write(count):
        return fake(lambda row: np.zeros(OUTPUTS)).generator.texts(
            ["a"] * count, Decoding(max_tokens=5, seed=3)
        )

    assert len(set(write(70))) > 50
    assert write(70)[:40] == write(40)


@pytest.mark.parametrize("seed", range(5))
def test_streamed_pieces_are_the_text(fake, seed):
    how = Decoding(seed=seed, max_tokens=25)
    made = fake(hashed, context=8)

    pieces = list(made.generator.stream("ab", how))

    assert "".join(pieces) == made.generator.texts(["ab"], how)[0]
    assert all(len(piece) == 1 for piece in pieces)


def test_a_token_is_streamed_before_the_next_is_computed(fake):
    made = fake(following)
    stream = made.generator.stream("a", Decoding(temperature=0))

    assert next(stream) == "b"
    assert made.engine.steps == []
    assert next(stream) == "c"
    assert made.engine.steps == [1]


def test_a_row_s_other_arrays_follow_it(fake):
    """An engine that starts again is given the source of the rows that are left."""
    made = fake(lambda row: likes(END if len(row) == 3 else 3), context=4)

    made.generator.texts(["abc", "abcd"], Decoding(temperature=0, max_tokens=4))

    assert made.engine.sources == [[0, 1], [1]]
