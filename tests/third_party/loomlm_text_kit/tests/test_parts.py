"""The cleaner and the schedule are functions."""

import pytest

from loomlm_text_kit.cleaning import repeats
from loomlm_text_kit.config import InverseRootConfig, RepeatsConfig
from loomlm_text_kit.schedules import inverse_root


@pytest.mark.parametrize(
    ("most", "text", "cleaned"),
    [
        (3, "soooooo goood!!!!!", "sooo goood!!!"),
        (1, "aaabbb  c", "ab c"),
        (2, "\n\n\n\nend", "\n\nend"),
        (2, "Aaaa", "Aaa"),
        (3, "", ""),
    ],
)
def test_runs_of_one_character_are_cut(most, text, cleaned):
    clean = repeats(RepeatsConfig(most=most))

    assert clean(text) == cleaned
    assert clean(cleaned) == cleaned


def test_the_rate_rises_to_the_peak_and_falls_with_the_root():
    factors = [inverse_root(InverseRootConfig(warmup=4), step, 100) for step in range(1, 101)]

    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[15] == pytest.approx(0.5)
    assert factors[99] == pytest.approx(0.2)
    assert sorted(factors[3:], reverse=True) == factors[3:]
