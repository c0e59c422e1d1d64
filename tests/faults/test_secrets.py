"""What the environment holds is in no file of a run, nor in what is said of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

CANARIES = {
    "HF_TOKEN": "hf_canaryAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "AWS_SECRET_ACCESS_KEY": "canary/BBBBBBBBBBBBBBBBBBBBBBBBB",
    "WANDB_API_KEY": "canaryCCCCCCCCCCCCCCCCCCCCCCCCC",
    "HTTPS_PROXY": "http://user:canaryDDDDDDDDDDD@127.0.0.1:9",
    "MY_OWN_SECRET": "canaryEEEEEEEEEEEEEEEEEEEEEEEEE",
}


def written(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_secrets_of_the_environment_are_written_nowhere(server, config_file, tmp_path):
    job = server.start(["run", config_file(steps="20")], tmp_path, CANARIES)
    assert job.wait() == 0, job.err
    fails = server.start(["run", config_file(steps="20", threads="0")], tmp_path, CANARIES)
    assert fails.wait() == 2

    everything = written(tmp_path / "runs") + written(tmp_path / "cache")
    everything += (job.out + job.err + fails.out + fails.err).encode()
    assert b"accuracy" in everything
    for name, secret in CANARIES.items():
        assert b"canary" not in everything, name
        assert secret.encode() not in everything, name


@pytest.mark.one_backend
@pytest.mark.parametrize("key", ["data.train", "init_from"])
def test_a_password_in_an_address_is_refused_and_not_shown(key, loomlm_command, config_file):
    address = "https://me:canary@example.org/train.csv"
    done = loomlm_command("run", config_file(), "--set", f"stages.finetune.{key}={address}")

    assert done.code == 2
    assert "a password in it" in done.err and "canary" not in done.err


@pytest.mark.one_backend
def test_nothing_of_ours_reads_pickles():
    """What could read one stands in no file of the core or of a built-in plugin."""
    root = Path(__file__).parents[2]
    words = r"pickle\.load|import pickle|torch\.load|allow_pickle *= *True|keras.*load_model\("
    found = subprocess.run(
        ["grep", "-rnE", words, "--include=*.py", str(root / "core"), str(root / "plugins")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not found.stdout
