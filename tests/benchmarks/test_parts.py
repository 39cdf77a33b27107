"""Timing a program's parts from outside."""

import sys
import threading
import types
from contextlib import ExitStack

from parts import PartTimer, replace_everywhere


def test_parts_within_parts_count_for_both(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr("parts.time.perf_counter", lambda: next(clock))  # a second a look
    timer = PartTimer()
    inner = timer.timed("inner", lambda: 7)
    with timer.part("outer"):
        assert inner() == 7
    inner()
    elapsed, spent = timer.take()
    assert spent.seconds == {("outer", "inner"): 1, ("outer",): 3, ("inner",): 1}
    assert spent.calls == {("outer", "inner"): 1, ("outer",): 1, ("inner",): 1}
    assert elapsed == 7  # looks: at the start, two a part, now
    assert not timer.take()[1].seconds


def test_a_failed_part_counts_and_closes():
    timer = PartTimer()
    for _ in range(2):
        try:
            with timer.part("bad"):
                raise ValueError
        except ValueError:
            pass
    assert timer.take()[1].calls == {("bad",): 2}


def test_waiting_for_items_is_timed_and_what_is_done_with_them_is_not():
    timer = PartTimer()
    iterate = timer.timed_iteration("waiting", lambda n: iter(range(n)))
    for _ in iterate(3):
        timer.timed("work", lambda: None)()
    assert timer.take()[1].calls == {("waiting",): 4, ("work",): 3}  # the fourth finds the end


def test_what_threads_do_goes_on_beside_the_rest():
    timer = PartTimer()
    with timer.part("outer"):
        thread = threading.Thread(target=timer.timed("writing", lambda: None))
        thread.start()
        thread.join()
    assert timer.take()[1].calls == {("in a thread: writing",): 1, ("outer",): 1}


def test_a_function_is_replaced_wherever_it_was_imported(monkeypatch):
    def original():
        return 1

    first, second = types.ModuleType("first"), types.ModuleType("second")
    first.function, second.renamed = original, original
    for module in (first, second):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    with ExitStack() as stack:
        replace_everywhere(stack, original, lambda: 2)
        assert (first.function(), second.renamed()) == (2, 2)
    assert (first.function(), second.renamed()) == (1, 1)
