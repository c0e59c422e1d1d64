"""Work in a second thread: the order and the errors of doing one thing after the other."""

import signal
import threading
import time

import pytest

from loomlm.data.aside import ahead, behind


def test_items_come_in_order_from_another_thread():
    makers = set()

    def items():
        for number in range(50):
            makers.add(threading.current_thread())
            yield number

    with ahead(items()) as coming:
        assert list(coming) == list(range(50))
    assert threading.current_thread() not in makers


def test_no_more_than_one_item_is_made_ahead():
    made = []
    going = threading.Semaphore(2)

    def items():
        for number in range(10):
            assert going.acquire(timeout=30)
            made.append(number)
            yield number

    with ahead(items()) as coming:
        for number in coming:
            assert len(made) <= number + 2
            going.release()
    assert len(made) == 10


def test_an_error_comes_behind_the_items_before_it():
    def items():
        yield 1
        raise ValueError("broken")

    got = []
    with pytest.raises(ValueError, match="broken"), ahead(items()) as coming:
        got.extend(coming)
    assert got == [1]


def test_who_stops_early_waits_for_nothing():
    with ahead(iter(range(1000))) as coming:
        assert next(coming) == 0


def test_everything_is_used_in_order_by_another_thread():
    used = []

    def use(item):
        used.append((item, threading.current_thread() is threading.main_thread()))

    with behind(use) as give:
        for number in range(50):
            give(number)
    assert used == [(number, False) for number in range(50)]


@pytest.mark.parametrize("last", [False, True])
def test_what_goes_wrong_behind_is_not_lost(last):
    def use(item):
        if item == 1:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), behind(use) as give:
        for item in [0, 1] if last else [0, 1, 2, 3]:
            give(item)


def test_an_error_of_one_s_own_comes_out_as_it_is():
    with pytest.raises(KeyError), behind(lambda item: None) as give:
        give(1)
        raise KeyError("own")


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers on this system")
def test_a_signal_that_comes_while_a_thread_is_waited_for_leaves_none_running():
    def on_signal(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, on_signal)
    going, used = threading.Event(), []

    def use(item):
        going.set()
        time.sleep(0.3)
        used.append(item)

    try:
        with pytest.raises(KeyboardInterrupt), behind(use) as give:
            give(1)
            assert going.wait(30)
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            raise ValueError("stop")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert used == [1]
