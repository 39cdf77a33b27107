"""Where a program's time goes, by functions that are wrapped from outside; no product code knows of it."""

from __future__ import annotations

import functools
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

from torch.profiler import record_function

PartPath = tuple[str, ...]  # of a part: ("validation", "waiting for the loader") is within ("validation",)


class Spent:
    """Seconds and calls of each part since the last look."""

    def __init__(self):
        self.seconds: dict[PartPath, float] = defaultdict(float)
        self.calls: dict[PartPath, int] = defaultdict(int)


class PartTimer:
    """Seconds that a program spends in its parts; a part within a part counts for both.

    What other threads do is a part of its own: it goes on beside the rest.

    Args:
        synchronize: called before the clock is read; with one that waits for a GPU, its time counts for the
            part that gave it the work, and no longer for the part that waits.
    """

    def __init__(self, synchronize: Callable[[], object] = lambda: None):
        self.synchronize, self._spent = synchronize, Spent()
        self._open = threading.local()
        self._main, self._since = threading.get_ident(), time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        outer: PartPath = getattr(self._open, "path", ())
        if not outer and threading.get_ident() != self._main:
            name = f"in a thread: {name}"
        path = self._open.path = (*outer, name)
        started = time.perf_counter()
        try:
            with record_function(name):
                yield
                self.synchronize()
        finally:
            self._spent.seconds[path] += time.perf_counter() - started
            self._spent.calls[path] += 1
            self._open.path = outer

    def timed(self, name: str, function: Callable) -> Callable:
        @functools.wraps(function)
        def call(*arguments, **options):
            with self.part(name):
                return function(*arguments, **options)

        return call

    def timed_iteration(self, name: str, iterate: Callable[..., Iterator]) -> Callable[..., Iterator]:
        """iterate with each wait for the next item timed."""

        @functools.wraps(iterate)
        def iteration(*arguments, **options):
            items = iter(iterate(*arguments, **options))
            while True:
                with self.part(name):
                    try:
                        item = next(items)
                    except StopIteration:
                        return
                yield item

        return iteration

    def take(self) -> tuple[float, Spent]:
        """Seconds since the last look, and what of them each part took."""
        now = time.perf_counter()
        elapsed, self._since = now - self._since, now
        spent, self._spent = self._spent, Spent()
        return elapsed, spent


def replace_everywhere(stack: ExitStack, original: object, replacement: object) -> None:
    """Until the stack is left, every loaded module has the replacement where it imported the original."""
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is original:
                stack.enter_context(mock.patch.object(module, name, replacement))
