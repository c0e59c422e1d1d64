"""Examples and columns come back from disk as they went in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loomlm.contracts import Example, Ragged
from loomlm.data.columns import ColumnWriter, open_columns, take_rows
from loomlm.data.examples import CHARACTERS, CHUNK
from loomlm.errors import DataError
from loomlm.storage.commit import staging

# Any code points, also surrogates that stand alone, as JSON can bring them.
TEXTS = st.text(st.characters(codec=None), max_size=30)
LINES = st.integers(0, 2**40)
LABELS = st.one_of(
    st.just(st.none()), st.just(TEXTS), st.just(st.lists(TEXTS, max_size=3).map(tuple))
)
DISK = settings(deadline=None, max_examples=40)


@st.composite
def splits(draw: st.DrawFn) -> list[Example]:
    """Examples of one form: labels for all or none, the same further texts for all."""
    label = draw(LABELS)
    names = draw(st.lists(st.sampled_from(["context", "question", "répon se"]), unique=True))
    files = st.sampled_from(["train.csv", "hub/id[train]", "C:\\data\\a:b.txt"])
    example = st.builds(
        Example,
        TEXTS,
        label,
        st.fixed_dictionaries(dict.fromkeys(names, TEXTS)),
        st.builds("{}:{}".format, files, LINES),
    )
    return draw(st.lists(example, max_size=20))


@DISK
@given(splits())
def test_examples_come_back_as_they_went_in(keep, examples):
    split = keep(examples)

    assert list(split.examples()) == examples
    assert [example for chunk in split.chunks(3) for example in chunk] == examples
    further = examples[0].extra if examples else ()
    expected = [text for e in examples for text in (e.text, *(e.extra[name] for name in further))]
    assert list(split.texts()) == expected


@DISK
@given(splits())
def test_the_first_label_of_each_example(keep, examples):
    def first(label):
        return label if isinstance(label, str) else next(iter(label or ()), "")

    assert keep(examples).labels() == [first(example.label) for example in examples]


def test_texts_without_a_character_and_label_sets_without_a_label(keep):
    examples = [Example("", (), {"context": ""}, "a.csv:1")] * 3

    assert list(keep(examples).examples()) == examples


def test_more_examples_than_one_chunk(keep):
    examples = [Example(f"t{i}", f"l{i % 3}", place=f"a.csv:{i}") for i in range(2 * CHUNK + 5)]

    split = keep(examples)

    assert len(split) == len(examples)
    assert list(split.examples()) == examples


def test_places_come_back_with_and_without_a_line(keep):
    places = ["a.csv:3", "a.csv:0", "mail", "C:/mail", "a:b", ""]
    split = keep([Example("x", place=place) for place in places])

    assert [example.place for example in split.examples()] == places


def test_examples_of_other_columns_are_refused_with_the_place(keep):
    examples = [
        Example("x", None, {"pair": "y"}, place="t.csv:1"),
        Example("x", None, place="t.csv:2"),
    ]

    with pytest.raises(DataError, match=r"^t.csv:2: .* further texts none, unlike .*: pair"):
        keep(examples)


def test_long_examples_are_read_few_at_a_time(keep):
    long = "x" * (CHARACTERS // 2 + 1)
    split = keep([Example(long, place=f"a:{number}") for number in range(5)])

    sizes = [sum(len(example.text) for example in chunk) for chunk in split.chunks()]
    assert max(sizes) <= 2 * CHARACTERS
    assert sum(sizes) == 5 * len(long)


@pytest.mark.parametrize(
    ("second", "said"),
    [(None, "missing"), (("a",), "a list"), ("b", "a single one")],
)
def test_labels_of_two_forms_are_refused_with_the_place(keep, second, said):
    first = ("a",) if isinstance(second, str) else "a"
    examples = [Example("x", first, place="t.csv:1"), Example("y", second, place="t.csv:2")]

    with pytest.raises(DataError, match=f"^t.csv:2: the label is {said}, unlike those before"):
        keep(examples)


@DISK
@given(
    st.lists(st.lists(st.integers(0, 2**16 - 1), max_size=5), min_size=1, max_size=30),
    st.lists(st.integers(1, 7), min_size=1),
    st.data(),
)
def test_columns_come_back_whatever_the_chunks(tmp_path_factory, rows, sizes, data):
    folder = tmp_path_factory.mktemp("columns") / "kept"
    plain = np.arange(2 * len(rows), dtype=np.float32).reshape(-1, 2)
    with staging(folder) as stage:
        writer = ColumnWriter(stage, dtypes={"tokens": "<u2"}, meta={"a": ["ä"]})
        start = 0
        while start < len(rows):
            size = sizes[start % len(sizes)]
            some = rows[start : start + size]
            writer.append({"tokens": ragged(some), "plain": plain[start : start + size]})
            start += size
        writer.close()

    store = open_columns(folder)

    assert len(store) == len(rows)
    assert store.meta == {"a": ["ä"]}
    assert np.asarray(store.columns["plain"]).tolist() == plain.tolist()
    tokens = store.columns["tokens"]
    assert isinstance(tokens, Ragged)
    assert tokens.values.dtype == np.uint16
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=9))
    taken = store.take(np.array(chosen, np.int64))
    assert unragged(taken["tokens"]) == [rows[row] for row in chosen]
    assert np.asarray(taken["plain"]).tolist() == plain[chosen].tolist()


@DISK
@given(st.lists(st.integers(0, 900), min_size=1, max_size=40), st.data())
def test_rows_of_any_length_are_taken_in_any_order_and_again(tmp_path_factory, lengths, data):
    folder = tmp_path_factory.mktemp("columns") / "kept"
    rows = [[index + at for at in range(length)] for index, length in enumerate(lengths)]
    with staging(folder) as stage:
        writer = ColumnWriter(stage)
        writer.append({"tokens": ragged(rows)})
        writer.close()
    store = open_columns(folder)
    some = st.lists(st.integers(0, len(rows) - 1), max_size=20)
    for chosen in (sorted(set(data.draw(some))), data.draw(some), range(len(rows)), range(1)):
        taken = store.take(np.array(chosen, np.int64))
        assert unragged(taken["tokens"]) == [rows[row] for row in chosen]


READ_IN_ORDER = """
import sys
from pathlib import Path
import subprocess
import sys
from pathlib import Path

import numpy as np
from loomlm.data.columns import ColumnStore, open_columns
store = open_columns(Path(sys.argv[1]))
for start in range(0, len(store), 64):
    store.take(np.arange(start, start + 64))
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("RssFile")))
"""


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="only Linux tells what is mapped"
)
def test_a_store_that_is_read_in_order_is_not_held_in_memory(tmp_path):
    rows = 1024
    values = np.zeros(rows * 50_000, np.uint16)
    with staging(tmp_path / "kept") as stage:
        writer = ColumnWriter(stage)
        writer.append({"tokens": Ragged(values, np.arange(rows + 1) * 50_000)})
        writer.close()
    command = [sys.executable, "-c", READ_IN_ORDER, str(tmp_path / "kept")]
    done = subprocess.run(command, capture_output=True, check=True)
    assert int(done.stdout) * 1024 < values.nbytes / 2


def ragged(rows: list[list[int]]) -> Ragged:
    offsets = np.cumsum([0, *map(len, rows)])
    return Ragged(np.array([value for row in rows for value in row], np.int32), offsets)


def unragged(column: object) -> list[list[int]]:
    assert isinstance(column, Ragged)
    return [column[row].tolist() for row in range(len(column))]


def test_taken_rows_are_new_arrays_in_the_order_asked_for():
    column = ragged([[1, 2], [], [3]])

    taken = take_rows(column, np.array([2, 0, 0, 1]))

    assert unragged(taken) == [[3], [1, 2], [1, 2], []]
