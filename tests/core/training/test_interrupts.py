"""Signals at odd moments: none is lost or makes a traceback; who listened before does again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from loomlm.errors import UsageError
from loomlm.training.interrupts import (
    SIGNALS,
    Interruption,
    Interrupts,
    Program,
    StoppedError,
    during,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as on POSIX")


def listeners() -> list[object]:
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.fixture(autouse=True)
def _as_before():
    before = listeners()
    yield
    assert listeners() == before


@pytest.fixture
def program():
    with Program() as program:
        program.works = True
        yield program


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_raised_with_its_number_and_what_was_being_done(program, number):
    with pytest.raises(Interruption) as raised, during("while it rained"), during("at noon"):
        signal.raise_signal(number)

    assert raised.value.number == program.number == number
    assert raised.value.where == "at noon"
    assert isinstance(raised.value, KeyboardInterrupt)


def test_within_a_run_it_is_noted_and_asked_for(program):
    with Interrupts() as interrupts:
        interrupts.check("never")
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(StoppedError, match=r"^after the step$") as stopped:
            interrupts.check("after the step")

    assert stopped.value.exit_code == 143
    assert program.trained and program.number == signal.SIGTERM


def test_a_library_that_swallows_it_does_not_keep_a_run_going(program):
    with suppress(BaseException):
        signal.raise_signal(signal.SIGINT)
    with Interrupts() as interrupts, pytest.raises(StoppedError):
        interrupts.check("before the stage")


def test_an_error_that_comes_of_the_signal_is_a_stop_and_a_users_error_stays_one():
    with Interrupts() as interrupts:
        with pytest.raises(ZeroDivisionError), interrupts.explaining("stopped"):
            raise ZeroDivisionError
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(StoppedError, match="stopped"), interrupts.explaining("stopped"):
            raise ZeroDivisionError
        with pytest.raises(UsageError, match="full"), interrupts.explaining("stopped"):
            raise UsageError("the disk is full")


def test_without_a_program_the_second_signal_does_what_it_did_before():
    """As in a notebook: Ctrl-C is noted, then it is a KeyboardInterrupt."""
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        assert interrupts.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_outside_the_main_thread_nothing_is_listened_to():
    before, seen = listeners(), []

    def work() -> None:
        with Program(), Interrupts() as interrupts:
            seen.append((listeners() == before, interrupts.signal))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(True, 0)]


def test_what_is_ignored_by_nohup_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Program(), Interrupts():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


STOPS = """
import os, signal, sys, time
from loomlm.training.interrupts import Interruption, Program

with Program() as program:
    program.works = True
    try:
        {does}
        for _ in range(500):
            time.sleep(0.01)
        print("lost")
    except Interruption as stopped:
        print("raised", stopped.number, {more})
"""


def printed(tmp_path: Path, does: str, more: str = "''") -> subprocess.CompletedProcess[str]:
    """What a program prints that gets a signal where it `does` something."""
    code = STOPS.format(does=does, more=more)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )


def test_a_module_is_imported_to_its_end_first(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(0.1)\n"
        "whole = 1\n"
    )
    done = printed(tmp_path, "import slow", "sys.modules['slow'].whole")
    assert (done.stdout, done.stderr) == ("raised 15 1\n", "")


@pytest.mark.parametrize("odd", ["__del__", "weakref"])
def test_one_that_python_could_not_raise_is_raised_later(tmp_path, odd):
    (tmp_path / "odd.py").write_text(
        """
import os, signal, weakref

def kill(_):
    os.kill(os.getpid(), signal.SIGTERM)

class Dies:
    __del__ = kill

class Plain:
    pass

def __del__():
    global one
    one = Dies()
    del one

def weakref_():
    global reference
    thing = Plain()
    reference = weakref.ref(thing, kill)
    del thing
"""
    )
    name = odd if odd == "__del__" else "weakref_"
    done = printed(tmp_path, f"import odd; odd.{name}()")
    assert (done.stdout, done.stderr) == ("raised 15 \n", "")


def test_a_forked_process_dies_of_a_signal_as_any_other(tmp_path):
    does = """pid = os.fork()
        if not pid:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(9)
        print(os.waitpid(pid, 0)[1]); raise Interruption(1)"""
    assert printed(tmp_path, does).stdout == "15\nraised 1 \n"


def test_a_second_signal_ends_it_at_once(tmp_path):
    does = """
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(9)
        except Interruption:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(9)"""
    done = printed(tmp_path, does)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "\nStopped at once. What was complete is kept.\n"


def test_what_has_done_its_work_ends_with_its_own_code(tmp_path):
    done = printed(tmp_path, "program.over(3); os.kill(os.getpid(), signal.SIGTERM)")
    assert (done.returncode, done.stderr) == (3, "")


def test_a_signal_while_python_takes_itself_apart_changes_no_exit_code(tmp_path):
    code = """
import os, signal, sys
from loomlm.cli import main

class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)

# A cycle, which goes when modules do.
last = Last()
last.own = last
sys.argv[1:] = ["--version"]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "loomlm" in done.stdout
