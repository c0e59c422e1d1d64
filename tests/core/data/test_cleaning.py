"""What the passes of cleaning steps promise, whatever the steps do."""

from __future__ import annotations

from attrs import evolve

from loomlm.contracts import Example
from loomlm.data.cleaning import EXCERPT, SAMPLES, Pass, Step, chunks


class Moves:
    """Says that examples stand elsewhere."""

    def example(self, example: Example) -> Example:
        return evolve(example, text="new", place="elsewhere:1")


class Copies:
    """Gives each example anew."""

    def example(self, example: Example) -> Example:
        return evolve(example)


def carried_out(target, examples):
    work = Pass([Step("step", None, target)])
    cleaned = work.clean(examples)
    return cleaned, work.end("train")[0]


def test_samples_are_drawn_from_all_that_was_changed():
    _, report = carried_out(str.lower, [Example(f"A{number}") for number in range(1000)])

    drawn = [int(sample["before"][1:]) for sample in report["samples"]["changed"]]
    assert report["changed"] == 1000
    assert len(set(drawn)) == SAMPLES
    assert max(drawn) > 100


def test_a_sample_shows_where_a_long_text_was_changed():
    _, report = carried_out(str.lower, [Example("x" * 1000 + "HERE" + "x" * 1000)])

    (sample,) = report["samples"]["changed"]
    assert "HERE" in sample["before"]
    assert "here" in sample["after"]
    assert len(sample["before"]) == EXCERPT + len("......")


def test_an_example_stays_in_its_place():
    (cleaned,), _ = carried_out(Moves(), [Example("old", place="a.csv:7")])

    assert (cleaned.text, cleaned.place) == ("new", "a.csv:7")


def test_an_equal_example_is_not_counted_as_changed():
    _, report = carried_out(Copies(), [Example("same", "label", {"second": "text"})])

    assert (report["changed"], report["samples"]) == (0, {})


def test_second_texts_are_cleaned_too():
    (cleaned,), report = carried_out(str.lower, [Example("a", extra={"second": "B"})])

    assert cleaned.extra == {"second": "b"}
    (sample,) = report["samples"]["changed"]
    assert (sample["before"], sample["after"]) == ("B", "b")


def test_long_texts_come_in_shorter_lists():
    examples = [Example("x" * size) for size in (3, 3, 30, 1, 1, 1, 1)]

    assert [len(chunk) for chunk in chunks(examples, 3, 10)] == [3, 3, 1]
    assert [len(chunk) for chunk in chunks(examples, 3, 6)] == [2, 1, 3, 1]
