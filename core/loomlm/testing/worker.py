"""A backend's process: `python -m loomlm.testing.worker`. A framework takes seconds to start, and
no process imports two, so each backend has one for all of its jobs.

Each line of standard input is a request in JSON, each line of standard output the reply. The first
request is the backend's name and where Python finds modules. What frameworks print goes to
standard error.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any


def main() -> None:
    """Answer until the input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    begin = json.loads(sys.stdin.readline())
    sys.path[:] = begin["path"]
    for line in sys.stdin:
        replies.write(json.dumps(answer(json.loads(line), begin["backend"])) + "\n")
        replies.flush()


def answer(job: Mapping[str, Any], backend: str) -> dict[str, Any]:
    """What a job gives, or `error`: one sentence. The traceback goes to standard error."""
    from loomlm.testing.jobs import carry_out

    try:
        return carry_out(job, backend)
    # Whatever is wrong with a backend is to be told beside the check that found it.
    except Exception as error:
        traceback.print_exc()
        sys.stderr.flush()
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}


if __name__ == "__main__":
    main()
