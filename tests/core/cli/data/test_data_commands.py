"""What a user sees of `loomlm data`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.cells import cell_len

from loomlm.storage.cache import cache_folder, entries
from loomlm.storage.commit import verify

pytestmark = pytest.mark.one_backend


def in_a_process(*words: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, which holds nothing of the cache any more."""
    command = [sys.executable, "-m", "loomlm", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# --- check ---------------------------------------------------------------------------------


def test_check_says_what_is_wrong_where_and_what_to_do(config_file, loomlm_command):
    with Path("train.csv").open("a") as file:
        file.write("broken caf\ufffd,weather\n")
    path = config_file()

    done = loomlm_command("data", "check", path)

    assert done.code == 0
    assert "WARN  replacement-characters" in done.out
    assert "train: 1 of 401 (0.2%) texts have U+FFFD" in done.out
    assert "at train.csv:402" in done.out
    assert "data.encoding" in done.out
    assert "0 failed" in done.out
    assert "no control characters" not in done.out
    assert (
        "pass  control-characters: no control" in loomlm_command("data", "check", path, "--all").out
    )


def test_check_fails_with_exit_code_1(config_file, loomlm_command):
    with Path("test.csv").open("a") as file:
        file.write("a new one,politics\n")

    done = loomlm_command("data", "check", config_file())

    assert done.code == 1
    assert "FAIL  untrained-labels" in done.out
    assert "'politics'" in done.out


def test_check_tells_data_that_cannot_be_read_and_goes_on_with_other_stages(
    lm_config, loomlm_command
):
    Path("test.csv").write_text("wrong,columns\na,b\n")
    path = lm_config(finetune=True)

    done = loomlm_command("data", "check", path)

    assert done.code == 1
    assert "Stage pretrain" in done.out
    assert "FAIL  readable" in done.out
    assert "test.csv" in done.out
    one = loomlm_command("data", "check", path, "--stage", "pretrain")
    assert "Stage finetune" not in one.out
    assert (
        "Did you mean 'pretrain'?"
        in loomlm_command("data", "check", path, "--stage", "pretran").err
    )


# --- inspect -------------------------------------------------------------------------------


def test_inspect_of_a_config_shows_its_splits(config_file, loomlm_command):
    path = config_file()

    done = loomlm_command("data", "inspect", path)
    found = json.loads(loomlm_command("data", "inspect", path, "--json").out)

    assert done.code == 0
    for part in ("Lengths", "3 labels", "Scripts", "Contamination of test", "Odd ones of train"):
        assert part in done.out
    (stage,) = found
    train = stage["splits"]["train"]
    assert train["examples"] == 400
    assert sum(train["labels"].values()) == 400
    assert train["tokens"] == train["words"] == 400 * 8
    assert len(train["odd"]) == len(train["longest"]) == 10


def test_inspect_finds_test_texts_in_the_text_of_an_earlier_stage(lm_config, loomlm_command):
    path = lm_config(finetune=True)
    text = "twelve words that stand in the test split and in the corpus too"
    corpus = Path("corpus.txt")
    corpus.write_text(f"before it, {text.title()}; behind it\n{corpus.read_text()}")
    with Path("test.csv").open("a") as file:
        file.write(f"{text},weather\n")

    done = loomlm_command("data", "inspect", path, "--stage", "finetune", "--json")

    (stage,) = json.loads(done.out)
    listed = stage["contamination"]["test"]["listed"]
    (hit,) = [hit for hit in listed if hit["place"].endswith("test.csv:102")]
    assert hit["training"].startswith("pretrain train ")
    assert hit["training"].endswith("corpus.txt:1")
    assert hit["share"] == 1


def test_inspect_of_files_takes_each_for_a_split(topics, loomlm_command):
    Path("more.jsonl").write_text('{"text": "日本語の文 \\u001b[31m", "label": "weather"}\n' * 2)

    done = loomlm_command("data", "inspect", "train.csv", "test.csv", "more.jsonl")
    found = json.loads(
        loomlm_command("data", "inspect", "train.csv", "test.csv", "more.jsonl", "--json").out
    )

    assert done.code == 0
    assert "\x1b" not in done.out
    assert "\\x1b[31m" in done.out
    (files,) = found
    assert list(files["splits"]) == ["train.csv", "more.jsonl", "test.csv"]
    assert list(files["contamination"]) == ["test.csv"]
    assert files["splits"]["more.jsonl"]["scripts"].keys() == {"Han", "Hiragana", "Latin"}
    assert files["splits"]["more.jsonl"]["defects"]["control"]["count"] == 2


def test_inspect_of_plain_text_has_no_labels(tmp_path, loomlm_command):
    Path("corpus.txt").write_text("one line of text\nanother line\n")

    done = loomlm_command("data", "inspect", "corpus.txt")

    assert done.code == 0
    assert "labels" not in done.out
    assert "corpus.txt  2 " in done.out


def test_inspect_names_the_lines_that_cannot_be_read(loomlm_command):
    rows = ['{"text": "a line of text"}'] * 9
    rows[2:2] = ["{broken"]
    rows[6:6] = ["broken}"]
    Path("train.jsonl").write_text("\n".join(rows) + "\n")

    done = loomlm_command("data", "inspect", "train.jsonl", "--data", "on_bad_line=skip")

    assert done.code == 0
    assert "train.jsonl: 2 lines skipped" in done.out
    assert "the lines of train.jsonl: 3, 7" in done.out


def test_inspect_says_what_is_wrong(config_file, loomlm_command):
    Path("odd.csv").write_text("a,b\n1,2\n")

    columns = loomlm_command("data", "inspect", "odd.csv")
    both = loomlm_command("data", "inspect", config_file(), "--label", "x")

    assert columns.code == 2
    assert "odd.csv has the columns a, b" in columns.err
    assert loomlm_command("data", "inspect", "odd.csv", "--text", "a", "--label", "b").code == 0
    assert both.code == 2


def test_tables_fit_a_narrow_terminal(config_file, loomlm_command, monkeypatch):
    with Path("train.csv").open("a") as file:
        for text in ("\u65e5\u672c\u8a9e\u306e" * 40, "very long words " * 9):
            file.write(f"{text} row,weather\n" * 2)
    monkeypatch.setattr("loomlm.cli.data.inspect.columns", lambda: 60)

    lines = loomlm_command("data", "inspect", config_file()).out.splitlines()

    tables = [line for line in lines if ".csv:" in line]
    assert len(tables) > 10
    assert max(map(cell_len, tables)) < 60


# --- sample --------------------------------------------------------------------------------


def test_sample_shows_what_the_model_sees(config_file, loomlm_command):
    Path("train.csv").write_text(
        "text,label\n"
        + "<b>rain</b> &amp; wind,weather\n" * 9
        + "soup bread rice salt butter cheese,food\n" * 9
    )
    Path("test.csv").write_text("text,label\nsoup,food\n")
    path = config_file()
    clean = "stages.finetune.data.clean=['html']"
    cut = "stages.finetune.task={ type = 'classification', max_tokens = 4 }"

    done = loomlm_command("data", "sample", path, "--n", "18", "--set", clean, "--set", cut)
    raw = loomlm_command("data", "sample", path, "--n", "18", "--set", clean, "--json")

    assert done.code == 0
    assert "  raw      <b>rain</b> &amp; wind" in done.out
    assert "  cleaned  rain & wind" in done.out
    assert "  pieces   rain|&|wind" in done.out
    assert '  label    "weather" -> 1' in done.out
    assert "3 tokens in 4 places, 1 of padding; none cut off" in done.out
    assert "4 tokens in 4 places, 0 of padding; 2 of 6 cut off" in done.out
    for one in json.loads(raw.out):
        assert one["back"] == one["text"]
        assert one["arrays"]["tokens"][: len(one["ids"])] == one["ids"]
        assert one["arrays"]["weight"] == 1


def test_sample_of_a_stream_shows_the_row_and_its_mask(lm_config, loomlm_command):
    path = lm_config()

    done = loomlm_command("data", "sample", path, "--n", "2")
    (one, _) = json.loads(loomlm_command("data", "sample", path, "--n", "2", "--json").out)

    assert "32 tokens in 32 places, 0 of padding; the text has" in done.out
    assert "all 32 places count, each for the token behind it" in done.out
    assert one["arrays"]["label"][:-1] == one["ids"][1:]
    assert one["back"].startswith(one["text"][:10])


def test_sample_of_packed_documents_shows_the_row_that_the_text_stands_in(
    tmp_path, lm_config, loomlm_command
):
    files = {"many": [f"some text {number}" for number in range(60)], "few": ["other words"] * 9}
    for name, lines in files.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n")
    sources = ", ".join(f'{{train="{name}.txt", weight=1}}' for name in files)
    path = lm_config()
    text = path.read_text().replace("context = 32", 'context = 32, packing = "bfd"')
    text = re.sub("data = .*", f"data = {{ sources = [{sources}] }}", text)
    small = 'backbone = { type = "transformer", width = 16, layers = 1, heads = 2 }'
    path.write_text(re.sub("backbone = .*", small, text))

    done = loomlm_command("data", "sample", path, "--n", "69", "--json")

    samples = json.loads(done.out)
    assert len({one["place"] for one in samples}) == 69
    for one in samples:
        assert one["text"] in one["back"]
        assert one["arrays"]["tokens"][: len(one["ids"])] == one["ids"]
        assert sum(one["arrays"]["weight"]) == len(one["ids"])
    assert "documents stand in the row" in loomlm_command("data", "sample", path).out


def test_sample_is_the_same_for_the_same_seed(config_file, loomlm_command):
    path = config_file()

    first, again, other = (
        loomlm_command("data", "sample", path, "--seed", seed, "--split", "test").out
        for seed in (1, 1, 2)
    )

    assert first == again != other
    assert first.count("test.csv:") == 5
    wrong = loomlm_command("data", "sample", path, "--split", "tset")
    assert "Did you mean 'test'?" in wrong.err


# --- prepare -------------------------------------------------------------------------------


def test_prepare_makes_what_a_run_finds(config_file, loomlm_command):
    path = config_file()

    first = loomlm_command("data", "prepare", path)
    again = json.loads(loomlm_command("data", "prepare", path, "--json").out)

    assert first.code == 0
    assert "finetune  train  400" in first.out
    assert "made" in first.out
    assert {one["made"] for one in again["kept"]} == {False}
    assert again["stages"]["finetune"]["train"]["tokens"] == 3200
    run = loomlm_command("run", path)
    assert "Reading train" not in run.err
    assert "Encoding" not in run.err


def test_prepare_says_how_many_shards_a_stream_has(config_file, loomlm_command):
    stream = "stages.finetune.data.streaming=true"
    both = 'stages.finetune.data.train=["train.csv", "test.csv"]'
    path = config_file()

    done = loomlm_command("data", "prepare", path, "--set", stream, "--set", both)

    assert re.search(r"^finetune +train +2 shards +[\d,]+$", done.out, re.MULTILINE)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_preparation_that_is_killed_leaves_nothing_half_done(config_file):
    with Path("train.csv").open("a") as file:
        file.write("rain and wind and sun and snow,weather\n" * 60_000)
    path = str(config_file())
    killed = subprocess.Popen([sys.executable, "-m", "loomlm", "data", "prepare", path])
    while not list(cache_folder().glob("tokens/.*")):
        assert killed.poll() is None
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    for entry in entries():
        verify(entry.folder)
    half = list(cache_folder().glob("*/.*-*"))
    assert half

    done = in_a_process("data", "prepare", path)

    assert done.returncode == 0, done.stderr
    assert "Reading train" not in done.stderr
    assert not [folder for folder in half if folder.exists()]
    assert not list(cache_folder().glob("*/.*-*"))
    for entry in entries():
        verify(entry.folder)


# --- cache ---------------------------------------------------------------------------------


@pytest.fixture
def filled(config_file) -> Path:
    """A cache that another process has filled and let go; the config it did so for."""
    path = config_file()
    assert in_a_process("data", "prepare", str(path)).returncode == 0
    return path


def test_cache_list_shows_what_is_kept(filled, loomlm_command):
    done = loomlm_command("data", "cache", "list")
    found = json.loads(loomlm_command("data", "cache", "list", "--json").out)

    assert done.code == 0
    assert {"examples", "tokenizers", "tokens"} <= set(done.out.split())
    assert f"{len(found['entries'])} entries, " in done.out
    assert len(found["entries"]) == len(entries()) >= 5
    assert all(Path(one["folder"]).is_dir() for one in found["entries"])


def test_cache_clear_asks_and_removes(filled, loomlm_command):
    count = len(entries())
    refused = in_a_process("data", "cache", "clear")
    assert refused.returncode != 0
    assert len(entries()) == count

    kind = loomlm_command("data", "cache", "clear", "--kind", "tokens", "--yes")
    wrong = loomlm_command("data", "cache", "clear", "--kind", "token", "--yes")
    assert "Removed 2 entries" in kind.out
    assert len(entries()) == count - 2
    assert wrong.code == 2

    young = loomlm_command("data", "cache", "clear", "--older-than", "1h", "--yes")
    assert "Nothing to remove" in young.out
    before = time.time() - 3 * 86400
    folder = entries()[0].folder
    for path in (folder, folder / "manifest.json"):
        os.utime(path, (before, before))
    old = loomlm_command("data", "cache", "clear", "--older-than", "2d", "--yes")
    assert "Removed 1 entry" in old.out

    rest = loomlm_command("data", "cache", "clear", "--yes")
    assert f"Removed {count - 3} entries" in rest.out
    assert entries() == []
    assert in_a_process("data", "prepare", str(filled)).returncode == 0


def test_cache_clear_says_what_stays(filled, loomlm_command):
    assert loomlm_command("data", "prepare", filled).code == 0  # This process holds it now.
    count = len(entries())

    done = loomlm_command("data", "cache", "clear", "--yes")

    assert f"Kept {count} entries that a running process holds." in done.out
    assert len(entries()) == count


def test_an_age_is_a_number_and_a_unit(loomlm_command):
    done = loomlm_command("data", "cache", "clear", "--older-than", "soon")

    assert done.code == 2
    assert "30d" in done.err


def test_help_lists_the_commands(loomlm_command):
    done = loomlm_command("data", "--help")

    assert [name for name in ("check", "inspect", "prepare", "sample", "cache") if name in done.out]
    assert "Did you mean 'check'?" in loomlm_command("data", "chek", "my.toml").err
