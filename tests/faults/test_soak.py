"""A long run holds no more memory, files and threads at its end than at its beginning."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pytest

from .harness import PATIENCE

PLUGIN = Path(__file__).with_name("sampling.py")
WARM = 1000
"""Steps after which a run holds what it will hold."""

GROWTH = 0.02
WINDOWS = 8
"""Parts of a run that are compared, by the median of memory, and the fewest files and threads: what
a save holds for a moment, or for longer on cores that are taken, is no leak."""

Sample = tuple[int, int, int, int]
"""A step, resident bytes, open files, threads."""


def check_flat(samples: Sequence[Sample]) -> None:
    """Memory stays, within 2%, as it was in the first window; files and threads stay the same."""
    warm = [sample for sample in samples if sample[0] > WARM]
    size = len(warm) // WINDOWS
    assert size >= 3, f"{len(warm)} samples are too few"
    windows = [list(zip(*warm[at * size :][:size], strict=True)) for at in range(WINDOWS)]
    memory = [median(window[1]) for window in windows]
    files, threads = ([min(window[at]) for window in windows] for at in (2, 3))
    assert max(memory) <= (1 + GROWTH) * memory[0], memory
    assert len(set(files)) == 1, files
    assert len(set(threads)) == 1, threads


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc")
def test_a_long_run_holds_no_more_at_its_end(server, config_file, times, long, tmp_path):
    steps = times(50_000)
    every = {"evaluate_every": "500", "checkpoint_every": "250", "keep_best": '"loss"'}
    path = config_file(steps=str(steps), batch_size="4", **every)
    text = path.read_text(encoding="utf-8")
    text = text.replace('label = "label" }', 'label = "label", split = { validation = 0.1 } }')
    path.write_text(f'plugins = ["{PLUGIN.as_posix()}"]\n{text}', encoding="utf-8")
    noted = tmp_path / "samples"

    job = server.start(["run", path], tmp_path, {"SOAK_SAMPLES": str(noted)})
    assert job.wait(3600 if long else PATIENCE) == 0, job.err

    samples = [json.loads(line) for line in noted.read_text(encoding="utf-8").splitlines()]
    assert samples[-1][0] == steps
    first = next(sample for sample in samples if sample[0] > WARM)
    print(f"{steps} steps, {len(samples)} samples: {first} to {samples[-1]}")
    check_flat(samples)


def test_what_grows_is_found():
    flat = [(step, 400_000_000 + step % 7 * 1000, 20 + step % 5 // 4, 9) for step in range(5000)]
    check_flat(flat)
    for leak in ((0, 3_000, 0, 0), (0, 0, 0.001, 0), (0, 0, 0, 0.001)):
        grown = [tuple(int(v + k * one[0]) for v, k in zip(one, leak, strict=True)) for one in flat]
        with pytest.raises(AssertionError):
            check_flat(grown)
