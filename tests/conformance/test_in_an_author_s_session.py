"""The kit as an author has it: a test file of a dozen lines in a pytest session of its own."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loomlm.testing import conformance as kit

KIT = Path(kit.__file__).parent
BROKEN = Path(__file__).parent / "broken"

GOOD = f"""\
import os, pytest

def lines(folder):
    (folder / "lines.txt").write_text("a first\\nb second\\na third\\n")
    return {{"train": "lines.txt"}}

def share(outcome):
    return (outcome.predictions == outcome.references).mean()

@pytest.mark.loomlm("tokenizer:Letters", plugins=[{str(BROKEN / "tokenizers.py")!r}], lossless=True)
def test_letters(conformance):
    conformance()

@pytest.mark.loomlm("metric:Share", plugins=[{str(BROKEN / "metrics.py")!r}], reference=share)
def test_share(conformance):
    conformance()

@pytest.mark.loomlm("data_source:Lines", plugins=[{str(BROKEN / "data_sources.py")!r}], keys=lines)
def test_lines(conformance, tmp_path):
    assert os.environ["LOOMLM_CACHE"] == str(tmp_path / "cache")
    conformance()
"""

Session = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Runs pytest on files, given by name, in a folder of their own."""

    def run(*options: str, **files: str) -> subprocess.CompletedProcess[str]:
        for name, content in files.items():
            (tmp_path / f"{name}.py").write_text(content, encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", *options]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def test_a_dozen_lines_check_all(session: Session):
    done = session("-v", test_mine=GOOD)

    assert done.returncode == 0, done.stdout
    assert "32 passed" in done.stdout
    for name in ("letters[a_text_comes_back]", "share[it_agrees_with_the_reference]"):
        assert f"test_mine.py::test_{name} PASSED" in done.stdout


def test_what_does_not_hold_is_told_without_the_kit_s_code(session: Session):
    tests = GOOD.replace("Letters", "Strips").replace("Lines", "StumblesOverNoFile")

    done = session(test_mine=tests)

    assert done.returncode == 1
    assert "2 failed, 30 passed" in done.stdout
    assert (
        "tokenizer:Strips: A text of which nothing is unknown comes back from its ids, at the "
        "latest the second time.\n' ' came back as ''\n"
    ) in done.stdout
    assert "train = 'no_such_thing.txt' raised FileNotFoundError(" in done.stdout
    assert "return self.config.train.read_text(" in done.stdout
    assert "conformance/data_source.py" not in done.stdout


ASSERTS = """\
from loomlm.plugin import Component, hookimpl

def train(config, texts):
    assert not list(texts), "an assertion of its own"

@hookimpl
def loomlm_tokenizers():
    target = f"{__name__}:Factory"
    return [Component(kind="tokenizer", name="mine", summary="", target=target)]

class Factory:
    train = staticmethod(train)
"""


def test_an_assertion_of_the_component_s_own_has_its_traceback(session: Session):
    tests = GOOD.partition("@pytest.mark")[0] + (
        '@pytest.mark.loomlm("tokenizer:mine", plugins=["mine.py"])\n'
        "def test_mine(conformance):\n    conformance()\n"
    )

    done = session("-k", "any_text_has_ids", mine=ASSERTS, test_mine=tests)

    assert done.returncode == 1
    assert 'assert not list(texts), "an assertion of its own"' in done.stdout


def marked(mark: str) -> str:
    return f"import pytest\n\n{mark}\ndef test_it(conformance):\n    conformance()\n"


WRONG = {
    '@pytest.mark.loomlm("tokenizer:bpee")': "There is no tokenizer 'bpee'. Did you mean 'bpe'?",
    '@pytest.mark.loomlm("tokeniser:bpe")': "is KIND:NAME, such as tokenizer:bpe, not 'tokeniser",
    '@pytest.mark.loomlm("bpe")': "is KIND:NAME, such as tokenizer:bpe, not 'bpe'",
    "@pytest.mark.loomlm": "needs a mark that says what to check",
    "": "needs a mark that says what to check",
    '@pytest.mark.loomlm("tokenizer:bpe", losless=True)': (
        "The check of a tokenizer takes no 'losless'. Did you mean 'lossless'?"
    ),
    '@pytest.mark.loomlm("tokenizer:bpe", plugins=["gone.py"])': (
        "gone.py' cannot be loaded: FileNotFoundError: there is no file"
    ),
}


def test_a_mark_that_cannot_be_meant_is_one_line(session: Session):
    done = session(**{f"test_{number}": marked(mark) for number, mark in enumerate(WRONG)})

    assert done.returncode == 2
    lines = [line for line in done.stdout.splitlines() if line.startswith("test_it: ")]
    assert len(lines) == len(WRONG)
    for line, said in zip(lines, WRONG.values(), strict=True):
        assert said in line
    assert "Traceback" not in done.stdout + done.stderr


LACKS = """\
from loomlm.plugin import Component, hookimpl

@hookimpl
def loomlm_metrics():
    more = {"requires": ("no_such_module",), "install": "pip install mine[all]"}
    return [Component(kind="metric", name="mine", summary="", target="gone:Gone", **more)]
"""


def test_what_is_not_installed_is_a_reason_to_skip(session: Session):
    test = marked('@pytest.mark.loomlm("metric:mine", plugins=["mine.py"])')
    without = 'import sys\nsys.modules["hypothesis"] = None\n'

    done = session(
        "-p", "no:hypothesispytest", mine=LACKS, test_mine=test, test_more=GOOD, conftest=without
    )

    assert done.returncode == 0, done.stdout
    assert (
        "The metric 'mine' needs no_such_module, which is not installed. "
        "Install it: pip install mine[all]"
    ) in done.stdout
    assert "checked with hypothesis, which is not installed: pip install hypothesis" in done.stdout


TRIALS = """\
from attrs import frozen
from loomlm.plugin import Component, hookimpl, key

@frozen
class Config:
    words: bool = key("words", False)

def train(config, texts):
    print("trained on", config.words, next(texts))
    raise SystemExit("enough")

class Factory:
    train = staticmethod(train)

@hookimpl
def loomlm_tokenizers():
    trials = {"letters": {}, "words": {"words": True}}
    more = {"config": Config, "trials": trials, "target": f"{__name__}:Factory"}
    return [Component(kind="tokenizer", name="mine", summary="", **more)]
"""


def test_keys_stand_in_for_all_trials_and_texts_for_the_kit_s(session: Session):
    mark = '@pytest.mark.loomlm("tokenizer:mine", plugins=["mine.py"]{})'
    more = ', keys={"words": True}, texts=["some text"]'
    tests = marked(mark.format("")) + marked(mark.format(more)).replace("test_it", "test_keys")

    listed = session("--collect-only", "-q", mine=TRIALS, test_mine=tests).stdout
    done = session("-s", "-k", "test_keys and any_text", mine=TRIALS, test_mine=tests)

    assert listed.count("::test_it[letters-") == listed.count("::test_it[words-") == 14
    assert listed.count("::test_keys[") == 14
    assert "trained on True some text" in done.stdout


def test_pytest_adds_nothing_to_what_the_kit_says():
    """Two rows of ids that differ kept its `difflib` busy for hours, where CI is set."""
    for module in KIT.glob("*.py"):
        tree = ast.parse(module.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.Assert) for node in ast.walk(tree)):
            assert "PYTEST_DONT_REWRITE" in (ast.get_docstring(tree) or ""), module.name
