"""A plugin that notes, as a run goes on, what its process holds: memory, open files, threads.

Each line of the file that `SOAK_SAMPLES` names is [step, resident bytes, open files, threads].
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from loomlm.plugin import StepsEnded, hookimpl

PAGE = os.sysconf("SC_PAGE_SIZE")


@hookimpl
def loomlm_steps_ended(event: StepsEnded) -> None:
    own = Path("/proc/self")
    resident = int((own / "statm").read_text().split()[1]) * PAGE
    # Looking at the folder takes an open file of its own.
    files, threads = len(list((own / "fd").iterdir())) - 1, len(list((own / "task").iterdir()))
    with Path(os.environ["SOAK_SAMPLES"]).open("a", encoding="utf-8") as file:
        file.write(json.dumps([event.scalars[-1].step, resident, files, threads]) + "\n")
