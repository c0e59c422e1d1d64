"""A process that does jobs: `python -m loomlm.testing.worker`.

A framework takes seconds to start, and no process imports two, so each backend has a process for
all of its jobs. Standard input has where Python finds modules, then a job a line, in JSON; standard
output a reply a line. What frameworks print goes to standard error.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any


def main() -> None:
    """Reply until the input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.path[:] = json.loads(sys.stdin.readline())["path"]
    for line in sys.stdin:
        replies.write(json.dumps(reply(json.loads(line))) + "\n")
        replies.flush()
        # Frameworks' models point to themselves, and stay until they are looked for; what is left
        # of the first job is what it imported, through which nobody need look again.
        gc.collect()
        if not gc.get_freeze_count():
            gc.freeze()


def reply(job: Mapping[str, Any]) -> dict[str, Any]:
    """What a job gives, or `error`: one sentence. The traceback goes to standard error."""
    from loomlm.testing.jobs import carry_out

    try:
        return carry_out(job)
    # Whatever is wrong with a backend is to be told beside the check that found it.
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}


if __name__ == "__main__":
    main()
