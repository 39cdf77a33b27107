"""Calls in the background: in order, none after an error, and the error comes out."""

import threading

import pytest

from toolkit.system.background import Background, Later


def test_calls_come_in_order_and_beside_the_main_thread():
    background, seen, gate = Background(), [], threading.Event()
    background.submit(gate.wait)
    for number in range(100):
        background.submit(seen.append, number)
    assert seen == []  # the main thread went on
    gate.set()
    background.flush()
    assert seen == list(range(100))
    background.close()


def test_after_an_error_nothing_more_is_called_and_flush_raises_it():
    background, seen = Background(), []
    gate = threading.Event()
    background.submit(gate.wait)
    background.submit(int, "x")
    background.submit(seen.append, 1)
    gate.set()
    with pytest.raises(ValueError, match="'x'"):
        background.flush()
    background.submit(seen.append, 2)
    background.flush()
    assert seen == []
    background.close()


def test_the_next_submission_raises_an_error_that_is_known():
    background, done = Background(), threading.Event()

    def fail():
        try:
            raise OSError("full")
        finally:
            done.set()

    background.submit(fail)
    done.wait()
    with pytest.raises(OSError, match="full"):
        for _ in range(1000):  # the future is marked a moment after the function has ended
            background.submit(done.wait)
    background.close()


def test_close_waits_for_what_is_left():
    background, seen = Background(), []
    gate = threading.Event()
    background.submit(gate.wait)
    background.submit(seen.append, 1)
    threading.Timer(0.05, gate.set).start()
    background.close()
    assert seen == [1]


def test_later_calls_an_objects_methods():
    background, values = Background(), []
    later = Later(values, background)
    assert later.append(3) is None and later.extend([4, 5]) is None
    background.flush()
    assert values == [3, 4, 5]
    with pytest.raises(AttributeError):
        later.nothing_of_this_name()
    background.close()
