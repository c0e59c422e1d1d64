"""Each check finds the defect that it is for, and finds none in data that has none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from loomlm.data.inspection.checks import CHECKS

pytestmark = pytest.mark.one_backend

Seed = Callable[..., None]
SEEDS: dict[str, tuple[Seed, str]] = {}
"""What plants a defect, and the level at which it is found, by the check's name."""


def seed(check: str, level: str = "warn") -> Callable[[Seed], Seed]:
    def keep(plant: Seed) -> Seed:
        assert check not in SEEDS
        SEEDS[check] = plant, level
        return plant

    return keep


def found(loomlm_command, data) -> dict[str, dict]:
    """The results of the checks by their names."""
    done = loomlm_command("data", "check", data.write(), "--json")
    assert done.out, done.err
    results = json.loads(done.out)["only"]
    assert done.code == int(any(one["level"] == "fail" for one in results))
    return {one["check"]: one for one in results}


@pytest.mark.parametrize("form", ["clean", "read"])
def test_clean_data_has_no_finding(form, clean, read, loomlm_command):
    results = found(loomlm_command, {"clean": clean, "read": read}[form])

    assert [one for one in results.values() if one["level"] != "pass"] == []
    assert len(results) >= 25


def test_every_check_has_its_defect():
    assert sorted(SEEDS) == sorted(check.name for check in CHECKS)
    assert len({check.name for check in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_the_defect_of_each_check_is_found(name, clean, read, loomlm_command):
    plant, level = SEEDS[name]
    data = {"clean": clean, "read": read}[plant.__code__.co_varnames[0]]
    plant(data)

    result = found(loomlm_command, data)[name]

    assert result["level"] == level
    finding = next(one for one in result["findings"] if one["level"] == level)
    assert finding["what"]
    assert finding["step"]


def test_a_skipped_line_is_named(clean, loomlm_command):
    SEEDS["skipped-lines"][0](clean)

    (finding,) = found(loomlm_command, clean)["skipped-lines"]["findings"]

    assert finding["where"] == [str(Path("broken.jsonl").absolute()) + ":21"]
    assert finding["count"] == 1


# --- how much there is ---------------------------------------------------------------------


@seed("readable", "fail")
def _(clean):
    clean.files["train"] = "cut.jsonl"
    Path("cut.jsonl").write_text('{"text": "a", "label": "red"}\n{"text": "b", "lab')


@seed("skipped-lines")
def _(clean):
    clean.files["train"] = "broken.jsonl"
    lines = [json.dumps({"text": text, "label": label}) for text, label in clean.train]
    Path("broken.jsonl").write_text("\n".join([*lines[:20], "{not json", *lines[20:]]) + "\n")
    clean.data.append('on_bad_line = "skip"')


@seed("few-examples", "fail")
def _(clean):
    del clean.train[9:]


@seed("few-to-score")
def _(clean):
    del clean.test[30:]


@seed("split-sizes")
def _(clean):
    del clean.train[100:]


@seed("batch-size")
def _(clean):
    clean.keys["trainer"] = "{ steps = 1, batch_size = 512 }"


@seed("context", "fail")
def _(read):
    read.keys["task"] = '{ type = "causal_lm", context = 50000 }'


@seed("lengths-alike")
def _(clean):
    clean.splits["test"] = [[f"{text} {text} {text}", label] for text, label in clean.test]


# --- texts ---------------------------------------------------------------------------------


@seed("empty-texts", "fail")
def _(clean):
    for row in clean.train[:50]:
        row[0] = " \t "


@seed("short-texts")
def _(clean):
    for number, row in enumerate(clean.train[:10]):
        row[0] = chr(ord("a") + number)


@seed("long-texts")
def _(clean):
    clean.train[7][0] = " ".join(text for text, _ in clean.train[10:40])
    del clean.train[10:40]


@seed("placeholders")
def _(clean):
    clean.train[3][0] = "NaN"


@seed("control-characters")
def _(clean):
    clean.train[3][0] += "\x1b[31m"


@seed("nul-and-bom")
def _(clean):
    clean.train[3][0] = "\ufeff" + clean.train[3][0]


@seed("replacement-characters")
def _(clean):
    clean.train[3][0] += " caf\ufffd"


@seed("surrogates")
def _(clean):
    clean.train[3][0] += " \ud83d"


@seed("private-use")
def _(clean):
    clean.train[3][0] += " \uf0b7"


@seed("invisible-characters")
def _(clean):
    clean.train[3][0] += " ba\u200bke"


@seed("mojibake")
def _(clean):
    clean.train[3][0] += " " + "café".encode().decode("latin-1")


@seed("markup")
def _(clean):
    clean.train[3][0] += " one<br />two &amp; three"


@seed("mixed-alphabets")
def _(clean):
    clean.train[3][0] += " p\u0430ypal"


@seed("scripts")
def _(clean):
    clean.train[3][0] = "это не похоже на всё остальное"


@seed("one-character")
def _(clean):
    for row in clean.train:
        row[0] = row[0].replace(" ", "      ")


@seed("long-words")
def _(clean):
    clean.train[3][0] += " " + "QUJD" * 50


@seed("repetitive")
def _(clean):
    clean.train[3][0] = "spam " * 30 + "lovely spam"


@seed("boilerplate")
def _(clean):
    for row in clean.train[:40]:
        row[0] += "\nSubscribe to our newsletter today"


# --- labels --------------------------------------------------------------------------------


@seed("unlabelled", "fail")
def _(clean):
    for rows in clean.splits.values():
        for row in rows:
            row[1] = None


@seed("one-label", "fail")
def _(clean):
    for rows in clean.splits.values():
        for row in rows:
            row[1] = "red"


@seed("untrained-labels", "fail")
def _(clean):
    clean.test[3][1] = "violet"


@seed("unscored-labels")
def _(clean):
    for row in clean.train[:40]:
        row[1] = "violet"


@seed("labels-once")
def _(clean):
    clean.train[3][1] = "violet"


@seed("few-for-label")
def _(clean):
    for row in clean.train[:5]:
        row[1] = "violet"


@seed("label-spelling")
def _(clean):
    for row in clean.train[::9]:
        row[1] = row[1].upper()


@seed("unbalanced")
def _(clean):
    for row in clean.train[20:]:
        row[1] = "red"


@seed("label-shift")
def _(clean):
    for row in clean.test[: len(clean.test) // 2]:
        row[1] = "red"


@seed("conflicting-labels")
def _(clean):
    clean.train[4] = [clean.train[3][0], clean.train[2][1]]


@seed("label-in-text")
def _(clean):
    for row in clean.train[::2]:
        row[0] += f" {row[1]}"


@seed("label-by-length")
def _(clean):
    for row in clean.train:
        if row[1] == "red":
            row[0] = " ".join(row[0].split()[:10])


@seed("sorted")
def _(clean):
    clean.train.sort(key=lambda row: row[1])
    del clean.splits["validation"]
    clean.data.append('split = { validation = 0.2, by = "position" }')


# --- copies --------------------------------------------------------------------------------


@seed("duplicates")
def _(clean):
    clean.train[4] = clean.train[3]


@seed("near-duplicates")
def _(clean):
    text, label = max(clean.train, key=lambda row: len(row[0]))
    clean.train[4] = [f"{text} moreover", label]


@seed("leakage", "fail")
def _(clean):
    clean.test[:10] = clean.train[:10]


@seed("near-leakage")
def _(clean):
    text, label = max(clean.train, key=lambda row: len(row[0]))
    clean.test[4] = [f"{text} moreover", label]


@seed("contamination")
def _(clean):
    words = clean.train[3][0].split()
    clean.test[4][0] = " ".join(["before", *words[:15], *clean.test[4][0].split()])


@seed("shared-documents")
def _(clean):
    for number in range(20):
        lines = [
            json.dumps({"text": t, "label": label})
            for t, label in clean.train[20 * number : 20 * number + 20]
        ]
        Path(f"document{number}.jsonl").write_text("\n".join(lines) + "\n")
    clean.files["train"] = "document*.jsonl"
    del clean.splits["validation"]
    clean.data.append("split = { validation = 0.2 }")


@seed("neighbours")
def _(read):
    del read.splits["validation"]
    read.data.append("split = { validation = 0.2 }")


@seed("repeated-text")
def _(read):
    read.train[-20:] = read.train[:20]


# --- tokens --------------------------------------------------------------------------------


@seed("truncated")
def _(clean):
    clean.keys["task"] = '{ type = "classification", max_tokens = 30 }'


@seed("unknown-tokens", "fail")
def _(clean):
    for row in clean.test[:60]:
        row[0] = " ".join(word[::-1] + "xyz" for word in row[0].split())


@seed("no-tokens")
def _(clean):
    clean.test[4][0] = "qqqq wwww rrrr"


@seed("fertility")
def _(clean):
    clean.keys["tokenizer"] = '{ type = "bpe", vocab_size = 700 }'
    generator = np.random.default_rng(3)
    for rows in clean.splits.values():
        for row in rows:
            letters = generator.choice(list("abcdefghijklmnopqrstuvwxyz"), (20, 8))
            row[0] = " ".join(map("".join, letters))


@seed("unseen-tokens")
def _(clean):
    words = " ".join(f"w{number}" for number in range(3000))
    line = json.dumps({"text": " ".join([words, *(text for text, _ in clean.train)])})
    Path("other.jsonl").write_text(f"{line}\n{line}\n")
    clean.keys["first"] = """
[[stages]]
name = "first"
task = { type = "causal_lm", context = 8 }
trainer = { steps = 1 }
data = { train = "other.jsonl" }
"""
    clean.keys["window"] = ", window = 4"


@seed("one-token")
def _(clean):
    for row in clean.train:
        row[0] = " URL ".join(row[0].split())


def test_every_check_is_told_in_the_docs():
    page = (Path(__file__).parents[4] / "docs" / "data.md").read_text(encoding="utf-8")

    assert re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE) == [c.name for c in CHECKS]
