"""A disk that fills up while a run saves its checkpoints, and has space again later.

    python docs/benchmarks/reliability/full_disk.py [--times 8] [--peers PYTHON] WHO ...

Needs to mount a tmpfs. WHO and PYTHON as for kills.py. Each time the run's folder is a file system
with less space than the unbroken run takes at its largest, from 90% of that down to 30%. When the
run has ended, one way or the other, there is space again, and the command that resumes is given
once. What comes of it: "same", "other", "broken" as in kills.py; went_on counts the runs that did
not stop for want of space.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from kills import Trainee, prepare, started, trainee

PLENTY = "200m"


def largest(one: Trainee, folder: Path) -> tuple[str, int]:
    """What an unbroken run comes to, and the bytes that its folder takes at its largest."""
    prepare(folder)
    process, most = started(one, folder), 0
    while process.poll() is None:
        most = max(most, _used(folder))
        time.sleep(0.005)
    return one.weights(folder), most


def filled(one: Trainee, folder: Path, size: int) -> tuple[bool, str]:
    """Whether the run went on without space, and what the weights come to in the end."""
    prepare(folder)
    _mount(f"remount,size={size}", folder.parent)
    went_on = started(one, folder).wait() == 0
    _mount(f"remount,size={PLENTY}", folder.parent)
    if not went_on and started(one, folder).wait() != 0:
        return went_on, "broken"
    return went_on, one.weights(folder)


def _used(folder: Path) -> int:
    status = subprocess.run(
        ["df", "--output=used", "-B1", folder], capture_output=True, text=True, check=True
    )
    return int(status.stdout.split()[-1])


def _mount(options: str, folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("who", nargs="+")
    parser.add_argument("--times", type=int, default=8)
    parser.add_argument("--peers", default=sys.executable)
    given = parser.parse_args()
    for who in given.who:
        one, came, went = trainee(who, given.peers), Counter(), 0
        weights, most = "", 0
        for number in range(given.times + 1):
            with tempfile.TemporaryDirectory() as place:
                _mount(f"size={PLENTY}", Path(place))
                try:
                    folder = Path(place) / "run"
                    if not number:
                        weights, most = largest(one, folder)
                        continue
                    share = 0.9 - 0.6 * (number - 1) / max(1, given.times - 1)
                    went_on, end = filled(one, folder, int(most * share))
                finally:
                    subprocess.run(["umount", place], check=True)
            went += went_on
            came["broken" if end == "broken" else "same" if end == weights else "other"] += 1
        print(json.dumps({"who": who, "bytes": most, "went_on": went, **came}), flush=True)


if __name__ == "__main__":
    main()
