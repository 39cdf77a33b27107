"""Work that goes on beside the main thread: functions called one after the other, in the order they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any


class Background:
    """One thread that calls what it is given. After an error it calls nothing more.

    The error is raised in the main thread by the next `submit` or `flush`. A process that ends while
    something is left waits for it; one that is killed leaves what a killed main thread would: the first
    calls done, perhaps one begun.
    """

    def __init__(self):
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="background")
        self._calls: deque[Future] = deque()
        self._has_failed = False

    def submit(self, function: Callable[..., object], *arguments: Any) -> None:
        """Has the function called; the arguments must not change until then."""
        self._settle(waiting=False)
        self._calls.append(self._thread.submit(self._call, function, arguments))

    def flush(self) -> None:
        """Waits until everything is done."""
        self._settle(waiting=True)

    def close(self) -> None:
        """Waits as flush does, without raising, and ends the thread."""
        self._thread.shutdown()

    def _settle(self, waiting: bool) -> None:
        while self._calls and (waiting or self._calls[0].done()):
            wait([self._calls[0]])  # interrupted here, a call's error is still to come
            self._calls.popleft().result()

    def _call(self, function: Callable[..., object], arguments: tuple) -> None:
        if self._has_failed:
            return
        try:
            function(*arguments)
        except BaseException:
            self._has_failed = True
            raise


class Later:
    """Calls an object's methods in the background: they return None at once."""

    def __init__(self, target: object, background: Background):
        self._target, self._background = target, background

    def __getattr__(self, name: str) -> Callable[..., None]:
        method = getattr(self._target, name)
        return lambda *arguments: self._background.submit(method, *arguments)
