"""What `loomlm init` is told of a split."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loomlm.contracts import Example
from loomlm.data.summary import summarize


def test_sizes_and_labels():
    texts = ["one two", "a <b>bold</b> word here", "", "x"]
    labels = ["pos", "neg", "pos", "pos"]

    summary = summarize(Example(*pair) for pair in zip(texts, labels, strict=True))

    assert summary.examples == 4
    assert summary.labels == {"neg": 1, "pos": 3}
    assert not summary.multi_label
    assert summary.total_words == 7
    assert summary.characters == sum(map(len, texts))
    assert summary.words == {0.5: 2, 0.95: 4, 1.0: 4}
    assert summary.markup == 0.25


def test_lists_of_labels_are_several_labels_even_when_they_are_empty():
    summary = summarize([Example("x", ("b", "a")), Example("y", ("a",)), Example("z", ())])

    assert summary.multi_label
    assert summary.labels == {"a": 2, "b": 1}


def test_no_example_and_no_label():
    assert summarize([]).examples == 0
    assert summarize([]).words == {0.5: 0, 0.95: 0, 1.0: 0}
    assert summarize([Example("x")]).labels == {}


def test_what_only_looks_like_markup_is_text():
    texts = ["a < b and c > d", "<3", "if x<y then", "<>", "</br>"]

    assert summarize(Example(text) for text in texts).markup == 0.2


def test_the_sample_is_everything_where_there_is_little_else_the_same_draw_from_all_of_it():
    few = [Example(str(number)) for number in range(7)]
    many = [Example(str(number)) for number in range(20_000)]

    assert summarize(few).sample == tuple(few)
    sample = summarize(many).sample
    assert sample == summarize(many).sample
    places = [int(example.text) for example in sample]
    assert len(places) == len(set(places)) == 1500
    assert 9_000 < sum(places) / len(places) < 11_000


@given(st.lists(st.integers(0, 40), min_size=1, max_size=100))
def test_a_percentile_is_a_length_that_enough_texts_do_not_exceed(lengths):
    summary = summarize(Example("w " * length) for length in lengths)

    assert summary.words[1.0] == max(lengths)
    for share, most in summary.words.items():
        assert most in lengths
        assert sum(length <= most for length in lengths) >= share * len(lengths) - 1e-9
