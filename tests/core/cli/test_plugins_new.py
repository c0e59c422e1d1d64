"""`loomlm plugins new`: names, folders, and what is refused. What it writes is tried out in
tests/end_to_end/test_scaffolds.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest


def written(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_writes_a_distribution_and_says_what_to_do_next(loomlm_command, tmp_path):
    done = loomlm_command("plugins", "new", "tokenizer", "my-tokenizer")

    assert done.code == 0
    assert written(tmp_path / "my-tokenizer") == {
        ".github/workflows/test.yml",
        ".gitignore",
        "README.md",
        "pyproject.toml",
        "src/my_tokenizer/__init__.py",
        "src/my_tokenizer/py.typed",
        "src/my_tokenizer/tokenizer.py",
        "tests/test_conformance.py",
        "tests/test_run.py",
    }
    *_, change, install, test, show = done.out.splitlines()
    assert change.strip() == "cd my-tokenizer"
    assert install.strip() == 'pip install -e ".[test]"'
    assert test.strip() == "python -m pytest"
    assert show.strip() == "loomlm plugins show tokenizer:my_tokenizer"


@pytest.mark.parametrize(
    ("name", "distribution", "package", "component"),
    [
        ("stem", "stem", "stem", "stem"),
        ("Acme_Stem.v2", "acme-stem-v2", "acme_stem_v2", "acme_stem_v2"),
        ("loomlm-stem", "loomlm-stem", "loomlm_stem", "stem"),
    ],
)
def test_all_names_follow_from_one(
    loomlm_command, tmp_path, name, distribution, package, component
):
    done = loomlm_command("plugins", "new", "metric", name)

    assert done.code == 0
    project = (tmp_path / name / "pyproject.toml").read_text()
    assert f'name = "{distribution}"' in project
    assert f'{package} = "{package}"' in project
    registered = (tmp_path / name / "src" / package / "__init__.py").read_text()
    assert f'name="{component}"' in registered
    assert f"loomlm plugins show metric:{component}" in done.out


def test_a_component_may_be_called_otherwise(loomlm_command, tmp_path):
    done = loomlm_command("plugins", "new", "metric", "acme", "--component", "kappa")

    assert done.code == 0
    assert 'name="kappa"' in (tmp_path / "acme/src/acme/__init__.py").read_text()
    assert '"metric:kappa"' in (tmp_path / "acme/tests/test_conformance.py").read_text()


@pytest.mark.parametrize("kind", ["data-source", "data_source"])
def test_a_kind_is_known_with_both_strokes(loomlm_command, tmp_path, kind):
    assert loomlm_command("plugins", "new", kind, "notes").code == 0
    assert '"data_source:notes"' in (tmp_path / "notes/tests/test_conformance.py").read_text()


def test_it_writes_into_an_empty_repository(loomlm_command, tmp_path, monkeypatch):
    repository = tmp_path / "repository"
    (repository / ".git").mkdir(parents=True)
    (repository / "LICENSE").write_text("Mine.")
    monkeypatch.chdir(repository)

    done = loomlm_command("plugins", "new", "metric", "kappa", "--into", ".")

    assert done.code == 0
    assert "cd " not in done.out
    assert (repository / "LICENSE").read_text() == "Mine."
    assert (repository / "pyproject.toml").exists()


def test_nothing_is_overwritten(loomlm_command, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("a thought")
    (tmp_path / "file").write_text("")

    there = loomlm_command("plugins", "new", "metric", "mine")
    file = loomlm_command("plugins", "new", "metric", "file")

    assert (there.code, file.code) == (2, 2)
    assert "The folder mine is there already, with notes.txt in it" in there.err
    assert "--into" in there.err
    assert "file is a file" in file.err
    assert written(tmp_path) >= {"mine/notes.txt", "file"}
    assert not (tmp_path / "mine" / "pyproject.toml").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("tokeniser", "mine"), "'tokeniser' is no kind of component. Did you mean 'tokenizer'?"),
        (("datasource", "mine"), "Did you mean 'data-source'?"),
        (("cleaner", "mine"), "No cleaner can be written, only backbone, data-source"),
        (("metric", "../mine"), "'../mine' cannot name a distribution"),
        (("metric", "-mine"), "No such option"),
        (("metric", "mine-"), "'mine-' cannot name a distribution"),
        (("metric", "3grams"), "such as loomlm-3grams"),
        (("metric", "class"), "Python could not import 'class'"),
        (("metric", "json"), "There is a Python module 'json' already"),
        (("metric", "loomlm"), "There is a Python module 'loomlm' already"),
        (("backbone", "loomlm-torch"), "There is a Python module 'loomlm_torch' already"),
        (("tokenizer", "bpe"), "The tokenizer 'bpe' is there already, from loomlm "),
        (("tokenizer", "acme", "--component", "bpe"), "'bpe' is there already"),
        (("tokenizer", "acme", "--component", "Bytes!"), "'Bytes!' cannot name a component"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(loomlm_command, tmp_path, words, said):
    done = loomlm_command("plugins", "new", *words)

    assert done.code == 2
    assert said in done.err
    assert written(tmp_path) == set()


def test_one_s_own_plugin_that_is_installed_may_be_written_again(
    loomlm_command, tmp_path, monkeypatch
):
    assert loomlm_command("plugins", "new", "metric", "my-kappa").code == 0
    site = tmp_path / "my-kappa" / "src"
    info = site / "my_kappa-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: my_kappa\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[loomlm]\nmy_kappa = my_kappa\n")
    monkeypatch.syspath_prepend(str(site))

    other = loomlm_command("plugins", "new", "metric", "other", "--component", "my_kappa")
    again = loomlm_command("plugins", "new", "metric", "my-kappa", "--into", "again")

    assert "is there already, from my_kappa 0.1.0" in other.err
    assert again.code == 0
    assert (tmp_path / "again" / "pyproject.toml").exists()
