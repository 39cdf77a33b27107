"""SIGTERM and Ctrl-C end a run at the next safe point, or a few seconds later where none comes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

GRACE_SECONDS = 6  # to reach the end of a training step; DataLoader workers need a moment after it


class Interrupted(Exception):
    """The run was asked to stop."""


def keep_interrupts() -> None:
    """From now on a Ctrl-C that comes in a __del__ or in a weak reference's callback ends the run, too.

    Python drops every exception of these; this one comes again a moment later.
    """
    sys.unraisablehook = _interrupt_again


def _interrupt_again(dropped: sys.UnraisableHookArgs) -> None:
    if not issubclass(dropped.exc_type, (KeyboardInterrupt, Interrupted)):
        sys.__unraisablehook__(dropped)
        return
    again = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))  # after the callback
    again.daemon = True
    again.start()


class LoaderLost(Interrupted):
    """A process that loads clips was ended by the system; the message says which and what to do."""


class StopRequest:
    """Within `with StopRequest() as stop:` the two signals set a flag that stop.check() raises on.

    A second Ctrl-C, or no check within GRACE_SECONDS, raises at once, wherever the program is. Outside of
    `with` no signal is caught: nothing is asked for until `agreed` hears of it from another process.
    """

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self):
        self.requested_at: float | None = None  # by time.monotonic(), in seconds
        self.forced = False  # raised in the middle of something, not by check()
        self._previous: dict[int, Any] = {}  # the handlers to put back, by signal

    def __enter__(self) -> StopRequest:
        self._previous = {number: signal.signal(number, self._request) for number in self.SIGNALS}
        self._previous[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._give_up)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        signal.alarm(0)
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if kind is None:  # asked for after the last check: not to be forgotten
            self.check()

    def check(self) -> None:
        """Raises Interrupted where a stop was asked for: call it where the state is whole."""
        if self.requested_at is not None:
            raise Interrupted

    def agreed(self, any_process: Callable[[bool], bool]) -> bool:
        """Whether a stop was asked of any process; any_process tells, to all of them the same.

        Afterwards check() raises on each of them.
        """
        asked = any_process(self.requested_at is not None)
        if asked and self.requested_at is None:
            self.requested_at = time.monotonic()
        return asked

    def _request(self, number: int, frame: FrameType | None) -> None:
        if self.requested_at is not None and time.monotonic() - self.requested_at > 1:
            self._give_up(number, frame)  # asked twice, and not by one Ctrl-C that came twice
        if self.requested_at is None:
            self.requested_at = time.monotonic()
            signal.alarm(GRACE_SECONDS)

    def _give_up(self, number: int, frame: FrameType | None) -> None:
        self.forced = True
        raise Interrupted
