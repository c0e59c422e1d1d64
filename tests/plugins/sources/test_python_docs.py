"""The `python_docs` source, on this Python's library and on small ones made here."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from loomlm.plugin import DataError, Example
from loomlm_sources.areas import AREAS
from loomlm_sources.config import SPLITS, PythonDocsConfig
from loomlm_sources.python_docs import PythonDocs

pytestmark = pytest.mark.one_backend

Library = Callable[..., PythonDocs]


def read(source: PythonDocs) -> dict[str, list[Example]]:
    return {split: list(source.examples(split)) for split in source.splits()}


def file_of(example: Example) -> str:
    return example.place.rpartition(":")[0]


def folded(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="module")
def labelled() -> dict[str, list[Example]]:
    return read(PythonDocs(PythonDocsConfig(label="area")))


@pytest.fixture(scope="module")
def raw() -> dict[str, list[Example]]:
    return read(PythonDocs(PythonDocsConfig()))


def test_every_area_is_in_every_split_near_its_share(labelled):
    counts = {split: Counter(example.label for example in labelled[split]) for split in SPLITS}
    # Tk is installed apart on some systems.
    assert set(AREAS.values()) - {"graphical interfaces"} <= set(counts["train"])
    for area in counts["train"]:
        total = sum(count[area] for count in counts.values())
        shares = [counts[split][area] / total for split in SPLITS]
        assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.08), area
        assert all(counts[split][area] >= 15 for split in SPLITS), area
    assert set(counts["validation"]) == set(counts["test"]) == set(counts["train"])


def test_a_file_is_in_one_split_and_a_text_appears_once(labelled):
    splits = {(file_of(example), split) for split in SPLITS for example in labelled[split]}
    assert len({file for file, _ in splits}) == len(splits)
    texts = [folded(example.text) for split in SPLITS for example in labelled[split]]
    assert len(set(texts)) == len(texts)


def test_labels_are_those_of_the_library_reference(labelled):
    labels = {file_of(e): e.label for split in SPLITS for e in labelled[split]}
    assert labels["email/message.py"] == "internet data"
    assert labels["xml/dom/minidom.py"] == "markup"
    assert labels["threading.py"] == "concurrency"
    assert labels["asyncio/locks.py"] == "networking"


def test_what_is_held_out_with_labels_is_not_in_the_raw_training_text(labelled, raw):
    train = folded(" | ".join(example.text for example in raw["train"]))
    held_out = [*labelled["validation"], *labelled["test"]]
    assert [example.place for example in held_out if folded(example.text) in train] == []
    for split in SPLITS:
        assert {file_of(e) for e in labelled[split]} <= {file_of(e) for e in raw[split]}


def test_the_raw_text_is_worth_training_on_and_can_be_written(raw):
    train = [example.text for example in raw["train"]]
    assert sum(map(len, train)) > 1_000_000
    assert any(text.startswith('The "assert" statement\n') for text in train)
    assert all(text == text.strip() and text.encode() for text in train)


def test_places_lead_to_the_text(labelled):
    library = Path(os.__file__).parent
    for example in labelled["test"][::100]:
        file, line = example.place.split(":")
        lines = (library / file).read_text().splitlines()[int(line) - 1 :]
        # A backslash may stand for more, in the source.
        first = example.text.partition("\n")[0].partition("\\")[0]
        assert first in " ".join(lines[:2])


def test_another_process_reads_the_same_and_imports_nothing(labelled):
    code = (
        "import sys\n"
        "from loomlm_sources.python_docs import PythonDocs, PythonDocsConfig\n"
        "source = PythonDocs(PythonDocsConfig(label='area'))\n"
        "found = [e for split in source.splits() for e in source.examples(split)]\n"
        "loaded = {'numpy', 'torch', 'this', 'asyncio', 'pydoc_data.topics'} & set(sys.modules)\n"
        "print(loaded, *(f'{e.place} {e.label}' for e in found), sep='\\n')"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert told[0] == "set()"
    assert told[1:] == [f"{e.place} {e.label}" for split in SPLITS for e in labelled[split]]


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """A source that reads a library of the files given, by name."""
    folder = tmp_path / "library"
    monkeypatch.setattr("loomlm_sources.library.sysconfig.get_path", lambda name: str(folder))

    def make(files: dict[str, str], label: str | None = None) -> PythonDocs:
        needed = {"os.py": "", "pydoc_data/topics.py": "topics = {'if': 'The if statement\\n'}"}
        for name, content in {**needed, **files}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return PythonDocs(PythonDocsConfig(label=label))

    return make


SHAPES = '''"""The module."""
raise SystemExit("imported")
class Shape:
    """A shape.

    With corners:
        four
    """
    def area(self):
        "Its area."
    class Corner:
        """A corner."""
try:
    async def fetch(): """Fetches."""
except OSError:
    def fetch(): """Cannot fetch."""
if True:
    pass
else:
    def draw():
        """Draws."""
'''


def test_all_docstrings_of_a_file_are_one_text(library):
    (shapes, topic) = library({"turtle.py": SHAPES}).examples("train")
    assert shapes.text.split("\n\n") == [
        "The module.",
        "A shape.",
        "With corners:\n    four",
        "Its area.",
        "A corner.",
        "Fetches.",
        "Cannot fetch.",
        "Draws.",
    ]
    assert (shapes.label, shapes.place) == (None, "turtle.py:1")
    assert (topic.text, topic.place) == ("The if statement", "pydoc_data/topics.py:1")


def test_tests_and_what_is_not_of_the_library_are_left_out(library):
    names = ("test/a.py", "json/tests/a.py", "site-packages/a.py", "mine.py", "json/a.py")
    source = library({name: f'"""Stands in {name}."""' for name in names})
    assert [file_of(example) for example in source.examples("train")] == [
        "json/a.py",
        "pydoc_data/topics.py",
    ]


def test_an_area_needs_three_files_and_a_label_a_longer_docstring(library):
    numbers = {
        f"{name}.py": f'"""What {name} is about, in a sentence or so."""\ndef f(): "Short."'
        for name in ("random", "numbers", "fractions", "threading", "queue")
    }
    found = read(library(numbers, label="area"))
    assert sorted(len(found[split]) for split in SPLITS) == [1, 1, 1]
    assert {example.label for split in SPLITS for example in found[split]} == {"numbers"}
    raw = read(library(numbers))
    assert {"queue.py", "threading.py"} <= {file_of(example) for example in raw["train"]}


def test_the_debugger_topic_goes_where_pdb_goes(library):
    pages = "topics = {'debugger': 'How to debug', 'if': 'The if statement'}"
    files = {"pydoc_data/topics.py": pages}
    for name, count in {"bdb": 9, "pdb": 4, "trace": 1}.items():
        for number in range(count):
            files[f"{name}.py"] = files.get(f"{name}.py", "") + (
                f'def f{number}():\n    """What {name} does in its function {number}."""\n'
            )
    raw = read(library(files))
    (split,) = (split for split in SPLITS if "pdb.py" in {file_of(e) for e in raw[split]})
    assert split != "train"
    assert "How to debug" in [example.text for example in raw[split]]
    assert "The if statement" in [example.text for example in raw["train"]]


def test_the_fingerprint_goes_with_version_label_and_content(library, monkeypatch):
    files = {"json/a.py": '"""One."""'}
    source = library(files)
    seen = [source.fingerprint()]
    seen.append(library(files, label="area").fingerprint())
    seen.append(library({"json/a.py": '"""Two."""'}).fingerprint())
    monkeypatch.setattr("platform.python_version", lambda: "3.99.1")
    seen.append(library({}).fingerprint())
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("missing", ["os.py", "pydoc_data/topics.py"])
def test_a_python_without_its_sources_is_refused(library, missing, tmp_path):
    source = library({})
    (tmp_path / "library" / missing).unlink()
    for call in (source.fingerprint, lambda: list(source.examples("train"))):
        with pytest.raises(DataError) as caught:
            call()
        assert str(caught.value).startswith("This Python came without its own documentation: ")
        assert missing in str(caught.value)
        assert 'set data.type to "files"' in str(caught.value)


def test_a_file_that_is_not_python_is_named(library):
    with pytest.raises(DataError, match=r"json/a\.py:2: not Python: .*\. Reinstall Python\."):
        list(library({"json/a.py": "x = 1\ndef\n"}).examples("train"))


def test_a_run_on_it(library, config_file, command):
    """Three areas of three files each, enough to train and to evaluate on."""
    files = {
        f"{name}.py": "".join(
            f'def f{number}():\n    """About the {name}, for the {number}. time here."""\n'
            for number in range(5)
        )
        for name in ("random", "numbers", "fractions", "threading", "queue", "sched")
    }
    library(files)
    path = config_file(steps="4")
    lines = path.read_text().splitlines()
    data = 'data = { type = "python_docs", label = "area" }'
    path.write_text("\n".join([*lines[:-1], data]))
    code, _, err = command("run", str(path))
    assert code == 0, err
    code, _, err = command("run", str(path), "--set", "stages.finetune.data.label=areas")
    assert code == 2
    assert "area" in err
