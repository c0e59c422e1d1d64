"""How a token is chosen: by hand where it can be counted, else by many draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.errors import UsageError
from loomlm.inference.decoding import Decoding, choose, never_said

ODDS = np.array([0.1, 0.4, 0.2, 0.3])
LOGITS = np.log(ODDS).astype(np.float32)
MANY = 20_000


def shares(logits: np.ndarray, **how) -> np.ndarray:
    """How often each token is drawn, by many rows at once."""
    rows = np.arange(MANY)
    drawn = choose(np.tile(logits, (MANY, 1)), Decoding(**how), 0, rows)
    return np.bincount(drawn, minlength=len(logits)) / MANY


def test_temperature_0_takes_the_likeliest_and_of_equals_the_first():
    logits = np.array([[0.0, 2.0, 1.0], [3.0, 3.0, -1.0]], np.float32)

    assert choose(logits, Decoding(temperature=0), 0, np.arange(2)).tolist() == [1, 0]


def test_tokens_are_drawn_by_their_probability():
    assert shares(LOGITS, temperature=1) == pytest.approx(ODDS, abs=0.015)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_temperature_divides_the_logits(temperature):
    expected = ODDS ** (1 / temperature)

    assert shares(LOGITS, temperature=temperature) == pytest.approx(
        expected / expected.sum(), abs=0.015
    )


def test_a_temperature_near_0_is_no_overflow():
    with np.errstate(all="raise", under="ignore"):
        assert shares(LOGITS * 100, temperature=1e-300)[1] == 1


@pytest.mark.parametrize(
    ("how", "kept"),
    [
        ({"top_k": 1}, [1]),
        ({"top_k": 3}, [1, 2, 3]),
        ({"top_k": 4}, [0, 1, 2, 3]),
        ({"top_k": 99}, [0, 1, 2, 3]),
        ({"top_p": 0.01}, [1]),
        ({"top_p": 0.39}, [1]),
        ({"top_p": 0.41}, [1, 3]),
        ({"top_p": 0.69}, [1, 3]),
        ({"top_p": 0.71}, [1, 2, 3]),
        ({"top_p": 0.91}, [0, 1, 2, 3]),
        ({"top_p": 1.0}, [0, 1, 2, 3]),
        # After top_k, 0.4 and 0.3 are 0.57 and 0.43 of what is left.
        ({"top_k": 2, "top_p": 0.56}, [1]),
        ({"top_k": 2, "top_p": 0.58}, [1, 3]),
    ],
)
def test_top_k_and_top_p_keep_the_likeliest(how, kept):
    expected = np.zeros(4)
    expected[kept] = ODDS[kept] / ODDS[kept].sum()

    found = shares(LOGITS, temperature=1, **how)

    assert np.flatnonzero(found).tolist() == kept
    assert found == pytest.approx(expected, abs=0.015)


def test_top_p_counts_the_token_that_reaches_it_exactly():
    assert np.flatnonzero(shares(np.log([0.5, 0.25, 0.25]), temperature=1, top_p=0.5)) == [0]


def test_of_equally_likely_tokens_top_k_keeps_the_first():
    assert np.flatnonzero(shares(np.zeros(5, np.float32), top_k=2)).tolist() == [0, 1]


@given(
    st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=12),
    st.floats(0.01, 5),
    st.one_of(st.none(), st.integers(1, 14)),
    st.one_of(st.none(), st.floats(0.01, 1)),
    st.integers(0, 2**70),
)
def test_whatever_is_asked_for_a_likely_enough_token_is_chosen(
    logits, temperature, top_k, top_p, seed
):
    row = np.array([logits], np.float32)
    how = Decoding(temperature=temperature, top_k=top_k, top_p=top_p, seed=seed)

    (chosen,) = choose(row, how, 3, np.array([5]))

    above = np.flatnonzero(row[0] > row[0, chosen])
    odds = np.exp((row[0].astype(float) - row.max()) / temperature)
    assert top_k is None or len(above) < top_k
    assert top_p is None or odds[above].sum() <= top_p * odds.sum() * (1 + 1e-6)


def test_a_token_that_cannot_be_is_never_drawn():
    logits = np.array([0.0, -np.inf, 0.0], np.float32)

    assert shares(logits)[1] == 0


def test_what_a_row_draws_depends_on_its_number_the_place_and_the_seed_alone():
    logits = np.zeros((3, 1000), np.float32)
    together = choose(logits, Decoding(seed=4), 9, np.arange(3))

    alone = [choose(logits[:1], Decoding(seed=4), 9, np.array([row]))[0] for row in range(3)]
    assert together.tolist() == alone
    assert len(set(alone)) == 3
    assert choose(logits, Decoding(seed=5), 9, np.arange(3)).tolist() != alone
    assert choose(logits, Decoding(seed=4), 8, np.arange(3)).tolist() != alone


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"max_tokens": 0}, "max_tokens = 0"),
        ({"temperature": -0.1}, "temperature = -0.1"),
        ({"temperature": float("nan")}, "temperature = nan"),
        ({"temperature": float("inf")}, "temperature = inf"),
        ({"top_k": 0}, "top_k = 0"),
        ({"top_p": 0.0}, "top_p = 0.0"),
        ({"top_p": 1.01}, "top_p = 1.01"),
        ({"top_p": float("nan")}, "top_p = nan"),
        ({"beams": 0}, "beams = 0"),
        ({"beams": 2, "top_k": 5}, "Beam search draws nothing"),
    ],
)
def test_what_cannot_be_asked_for(how, said):
    with pytest.raises(UsageError, match=said):
        Decoding(**how)


class Vocabulary:
    def __init__(self, pad_id, unknown_id, end_id, decoded=""):
        self.pad_id, self.unknown_id, self.end_id = pad_id, unknown_id, end_id
        self.decoded = decoded

    def decode(self, ids):
        return self.decoded


def test_padding_and_the_unknown_are_never_said_but_text_and_the_end_are():
    assert sorted(never_said(Vocabulary(0, 1, 2))) == [0, 1]
    assert never_said(Vocabulary(2, None, 2)) == []
    assert never_said(Vocabulary(0, None, None, decoded="!")) == []
