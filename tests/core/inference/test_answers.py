"""What a task that writes is scored by and predicts with, over an engine whose logits are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomlm.contracts import Ragged
from loomlm.data.batches import ExampleRows
from loomlm.data.columns import ColumnStore
from loomlm.errors import UsageError
from loomlm.inference.decoding import Decoding
from loomlm.inference.stopping import cut, cut_stream, strip_stream

from .conftest import END, OUTPUTS, UNKNOWN, hashed


def likes(token: int) -> np.ndarray:
    logits = np.zeros(OUTPUTS)
    logits[token] = 9
    return logits


def following(row: list[int]) -> np.ndarray:
    """Logits of the letter behind the last, and of the end behind g."""
    return likes(END if row[-1] == OUTPUTS - 1 else max(row[-1], UNKNOWN) + 1)


def rows_of(letters: str) -> ExampleRows:
    """A split: row i is the letter i, so many times that rows come in another order."""
    values = [3 + "abcdefg".index(letter) for letter in letters]
    lengths = [len(letters) - index for index in range(len(letters))]
    tokens = Ragged(np.repeat(values, lengths), np.cumsum([0, *lengths]))
    return ExampleRows(ColumnStore({"tokens": tokens}, len(letters), {}))


def test_every_row_of_a_split_is_written_and_stands_beside_what_is_right(fake):
    made = fake(following, answers=True)

    found = list(made.generator.outcomes(rows_of("abcdefg"), 3))

    assert [len(numbers) for numbers, _ in found] == [3, 3, 1]
    written = {
        number: text
        for numbers, outcome in found
        for number, text in zip(numbers.tolist(), outcome.predictions, strict=True)
    }
    assert written == {row: "bcdefg"[row:] for row in range(7)}
    assert found[0][1].references == [["abcdefg"]] * 3


def test_rows_that_have_ended_are_no_longer_read(fake):
    made = fake(following, answers=True)

    list(made.generator.outcomes(rows_of("gfe"), 8))

    # Of g nothing follows, of f one letter, of e two.
    assert made.engine.steps == [2, 1]


def test_beams_count_as_rows(fake):
    made = fake(following, answers=True)

    list(made.generator.outcomes(rows_of("abcd"), 4, decoding=Decoding(beams=2, max_tokens=3)))

    assert [len(start) for start in made.engine.starts] == [2, 2]


def test_a_signal_is_looked_for_before_each_batch(fake):
    seen = []
    list(
        fake(following, answers=True).generator.outcomes(
            rows_of("abcde"), 2, lambda: seen.append(1)
        )
    )

    assert len(seen) == 3


def test_what_is_drawn_for_a_row_goes_by_its_number(fake):
    how = Decoding(seed=3, max_tokens=6)

    def written(size):
        made = fake(lambda row: hashed(row[:1]), answers=True)
        pairs = [
            (int(number), text)
            for numbers, outcome in made.generator.outcomes(rows_of("aaaaaa"), size, decoding=how)
            for number, text in zip(numbers, outcome.predictions, strict=True)
        ]
        return dict(pairs)

    assert written(2) == written(6)
    assert len(set(written(6).values())) > 1


@pytest.mark.parametrize("beams", [1, 3])
def test_the_score_is_the_mean_logarithm_of_the_tokens_with_the_end(fake, beams):
    made = fake(following, answers=True)
    prompt = made.generator.recipe.task.prompt(["e"], None, None)

    (answer,) = made.generator.answers(prompt, Decoding(temperature=0, beams=beams), np.arange(1))

    # Unknown and padding are never said, so eight tokens are left of ten.
    each = 9 - np.log(np.exp(9) + OUTPUTS - 3)
    assert answer.text == "fg"
    assert answer.score == pytest.approx(each, rel=1e-5)


@pytest.mark.parametrize("beams", [1, 2])
def test_writing_ends_at_a_stop(fake, beams):
    made = fake(following)

    assert made.generator.texts(["a"], Decoding(temperature=0, beams=beams, stop="e")) == ["bcd"]
    assert made.generator.texts(["a"], Decoding(temperature=0, beams=beams, stop=["fx", "cd"])) == [
        "b"
    ]


def test_a_row_that_came_to_its_stop_is_no_longer_read(fake):
    made = fake(following)

    made.generator.texts(["a", "e"], Decoding(temperature=0, stop=("cd",)))

    # a: b, c, d and no more; e: f, g, end.
    assert made.engine.steps == [2, 2]


def test_a_stream_ends_at_a_stop_and_reads_no_further(fake):
    made = fake(following)

    assert list(made.generator.stream("a", Decoding(temperature=0, stop="de"))) == ["b", "c"]
    assert made.engine.steps == [1, 1, 1]


@pytest.mark.parametrize("given", [{"stop": ""}, {"stop": ["a", ""]}, {"length_penalty": np.inf}])
def test_what_cannot_be_is_an_error(given):
    with pytest.raises(UsageError, match=next(iter(given))):
        Decoding(**given)


pieces = st.lists(st.text("ab ", max_size=3), max_size=8)


@given(pieces, st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_a_stream_is_cut_where_its_text_is(parts, stop):
    assert "".join(cut_stream(parts, stop)) == cut("".join(parts), stop)


@given(pieces)
def test_a_stream_is_stripped_as_its_text_is(parts):
    found = list(strip_stream(parts))

    assert "".join(found) == "".join(parts).strip()
    assert all(found)


def test_a_task_says_how_it_writes_and_a_user_may_say_otherwise(fake):
    generator = fake(following, answers=True).generator

    assert generator.how() == Decoding(temperature=0, max_tokens=20)
    assert generator.how(beams=2).beams == 2
    assert generator.how(beams=2).max_tokens == 20
    assert fake(following).generator.how() == Decoding()
    assert not generator.continues
