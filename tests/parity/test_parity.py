"""PyTorch and TensorFlow come to the same, in every check that the registry allows: --parity=all.

The checks are `loomlm.testing`'s; `loomlm doctor --parity` runs some of them, on another text.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loomlm.config.check import usable_backends
from loomlm.registry import Registry
from loomlm.testing import Check, Parity, checks

ROOT = Path(__file__).parents[2]
SHAKESPEARE = ROOT.parent / "shared" / "data" / "tinyshakespeare" / "input.txt.gz"
BACKENDS = ("torch", "tensorflow")

sys.path.append(str(ROOT / "tests" / "third_party" / "loomlm_copying" / "src"))
REGISTRY = Registry.load(["loomlm_copying"])
PLAN = checks(REGISTRY, BACKENDS)
SHORT = checks(REGISTRY, BACKENDS, thorough=False)

pytestmark = pytest.mark.skipif(
    not set(BACKENDS) <= set(usable_backends(REGISTRY)),
    reason='parity is between two backends: pip install "loomlm[torch,tensorflow-cpu]"',
)


@pytest.fixture(scope="module")
def parity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parity]:
    """Both backends' processes, which stay for all checks, and the text that they learn.

    That is tinyshakespeare where it lies beside the repository, or else Python's own help.
    """
    folder = tmp_path_factory.mktemp("parity")
    text = None
    if SHAKESPEARE.is_file():
        text = folder / "tinyshakespeare.txt"
        text.write_bytes(gzip.decompress(SHAKESPEARE.read_bytes()))
    with Parity.start(REGISTRY, BACKENDS, folder, text, ["loomlm_copying"]) as parity:
        yield parity


def pytest_generate_tests(metafunc: pytest.Metafunc):
    """Every check with --parity=all, else those of a few minutes."""
    if "check" in metafunc.fixturenames:
        plan = PLAN if metafunc.config.getoption("--parity") == "all" else SHORT
        metafunc.parametrize("check", plan.checks, ids=str)


def test_the_backends_agree(check: Check, parity: Parity):
    result = parity.result(check)

    assert result.ok, str(result)


def test_everything_that_is_promised_is_checked():
    trained = {
        (str(check.case.backbone), check.case.task.type, check.optimizer.type)
        for check in PLAN.checks
        if check.what == "loss" and check.optimizer is not None
    }
    pairs = {
        ("mlp/pooled", "classification"),
        ("mlp/ngrams", "classification"),
        ("mlp/window", "classification"),
        ("mlp/window", "causal_lm"),
        ("rnn/lstm", "classification"),
        ("rnn/lstm", "causal_lm"),
        ("rnn/gru", "classification"),
        ("rnn/gru", "causal_lm"),
        ("rnn/bidirectional_lstm", "classification"),
        ("rnn/bidirectional_gru", "classification"),
        ("rnn/attention", "translation"),
        ("transformer/gpt2", "classification"),
        ("transformer/gpt2", "causal_lm"),
        ("transformer/llama", "classification"),
        ("transformer/llama", "causal_lm"),
        ("transformer/encoder", "classification"),
        ("rnn/bidirectional_lstm", "masked_lm"),
        ("transformer/encoder", "masked_lm"),
        ("transformer/encoder_decoder", "translation"),
        ("encoder_decoder/small", "translation"),
    }
    first = {
        (backbone, task) for backbone, task in pairs if task in ("classification", "translation")
    }
    assert {(*pair, "adamw") for pair in pairs} <= trained
    assert {(*pair, name) for pair in first for name in ("muon", "sgd")} <= trained
    begun = {check.begins for check in PLAN.checks if check.what == "resume"}
    assert begun == set(BACKENDS)
    assert PLAN.left_out == ()
