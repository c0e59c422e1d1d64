"""The tutorial, word for word: its files, its configs, each of its commands, its Python."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SMALL = ("backbone.layers=1", "trainer.compile=false", "trainer.threads=1")
QUICK = {
    "pretrain.toml": (
        "stages.pretrain.trainer.steps=30",
        "stages.pretrain.trainer.batch_size=8",
        *SMALL,
    ),
    "finetune.toml": ("stages.finetune.trainer.epochs=0.5", *SMALL),
}
"""What makes a run short; all else of a command stays as it stands."""


def commands(block: str) -> list[list[str]]:
    return [shlex.split(line) for line in block.replace("\\\n", " ").splitlines() if line]


def quick(words: list[str], backend: str) -> list[str]:
    settings = next((QUICK[word] for word in words if word in QUICK), ())
    if words[0] == "init":
        return [*words, "--backend", backend]
    if words[0] != "run":
        return words
    return [*words, *(part for setting in settings for part in ("--set", setting))]


def test_each_command_of_the_tutorial(backend, loomlm_command, capsys, monkeypatch):
    monkeypatch.delenv("LOOMLM_RUNS")
    ran = []
    for language, block in BLOCK.findall(PAGE.read_text()):
        if language == "python":
            exec(compile(block, str(PAGE), "exec"), {})
        elif language == "toml":
            assert 'backend = "torch"' in block
            Path("finetune.toml").write_text(block.replace('"torch"', f'"{backend}"'))
        else:
            for program, *words in commands(block):
                assert program == "loomlm"
                done = loomlm_command(*quick(words, backend))
                assert done.code == 0, f"{shlex.join(words)}: {done.err}"
                ran.append(words[0])

    assert set(ran) == {"init", "config", "explain", "run", "generate", "evaluate", "predict"}
    assert capsys.readouterr().out
