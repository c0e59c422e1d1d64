"""`loomlm run --processes N`: starts the processes on this machine, and ends with them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import IO

from attrs import define, field

from loomlm.training.interrupts import listening
from loomlm.training.processes import LAUNCHER

GRACE = 30.0
"""Seconds that processes have to end by themselves, once one of them has ended."""

POLL = 0.05
WATCHED = 1.0

USAGE = 2
"""The exit code of a mistake that every process finds, and of which the leader's word is enough."""


@define
class Launch:
    """The processes of a run. The first leads; what the others say is kept, and told if need be.

    signal: the last that came, or 0.
    """

    words: Sequence[str]
    signal: int = 0
    processes: list[subprocess.Popen[bytes]] = field(factory=list)
    said: list[IO[bytes]] = field(factory=list)

    def start(self, count: int) -> None:
        """Start them all. None of them gets a terminal's Ctrl-C: the launcher passes it on."""
        port = _free_port()
        for rank in range(count):
            out = None
            if rank > 0:
                out = tempfile.TemporaryFile()  # noqa: SIM115 - read at the end, closed by `launch`
                self.said.append(out)
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "loomlm", *self.words],
                    env={**os.environ, **_environment(rank, count, port)},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    process_group=0,
                )
            )
        if self.signal:
            self.pass_on(self.signal)

    def pass_on(self, number: int, _: FrameType | None = None) -> None:
        """Hand a signal to the leader, which ends the run."""
        self.signal = number
        if self.processes and self.processes[0].poll() is None:
            self.processes[0].send_signal(number)

    def wait(self) -> int:
        """Wait until all have ended, and give the exit code of the run."""
        while all(code == 0 for code in self.codes() if code is not None):
            if None not in self.codes():
                return 0
            if self.codes()[0] == 0:
                break
            time.sleep(POLL)
        first = next((rank for rank, code in enumerate(self.codes()) if code), 0)
        self._end()
        leaders = self.codes()[0] or 0
        code = self.processes[first].returncode
        if first > 0 and not (leaders == code == USAGE):
            self._tell(first, code)
            return leaders if leaders > 0 else 1
        if code < 0:
            print(f"Error: The run was killed by {_name(-code)}.", file=sys.stderr)
        return _exit_code(leaders)

    def codes(self) -> list[int | None]:
        """What each has ended with; None where it goes on."""
        return [process.poll() for process in self.processes]

    def kill(self) -> None:
        """End at once what still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()

    def _end(self) -> None:
        """Give the others time to end: the leader may be saving."""
        end = time.monotonic() + GRACE
        while None in self.codes() and time.monotonic() < end:
            time.sleep(POLL)
        self.kill()

    def _tell(self, rank: int, code: int) -> None:
        """Say what became of a process that is not the leader, in its own words if it has some."""
        self.said[rank - 1].seek(0)
        sys.stderr.flush()
        shutil.copyfileobj(self.said[rank - 1], sys.stderr.buffer)
        how = f"was killed by {_name(-code)}" if code < 0 else f"ended with exit code {code}"
        print(
            f"Error: Process {rank} of {len(self.processes)} {how}, and the run ended with it.",
            file=sys.stderr,
            flush=True,
        )


def launch(words: Sequence[str], count: int) -> int:
    """Run `loomlm WORDS` in several processes together; its exit code."""
    run = Launch(words)
    with listening(run.pass_on):
        try:
            run.start(count)
            return run.wait()
        finally:
            run.kill()
            for file in run.said:
                file.close()


def end_with_launcher() -> None:
    """In a process that was launched: stop, as by a signal, when the launcher is gone."""
    launcher = os.environ.pop(LAUNCHER, "")
    if launcher:
        threading.Thread(target=_watch, args=(int(launcher),), daemon=True, name="launcher").start()


def _watch(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(WATCHED)
    os.kill(os.getpid(), signal.SIGTERM)


def _environment(rank: int, count: int, port: int) -> dict[str, str]:
    number = str(rank)
    found = {
        "RANK": number,
        "LOCAL_RANK": number,
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        LAUNCHER: str(os.getpid()),
    }
    # They are all on this machine: nothing has to listen on a network.
    loopback = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
    if loopback and "GLOO_SOCKET_IFNAME" not in os.environ:
        found["GLOO_SOCKET_IFNAME"] = loopback
    return found


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _exit_code(code: int) -> int:
    """As a shell has it: 128 and the number of a signal."""
    return 128 - code if code < 0 else code


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
