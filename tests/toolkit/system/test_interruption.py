"""Requests to stop."""

import os
import signal
import subprocess
import sys
import time

import pytest

from repository import ROOT
from toolkit.system.interruption import Interrupted, StopRequest


def test_a_stop_after_the_last_check_is_not_forgotten():
    with pytest.raises(Interrupted), StopRequest():
        os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(ValueError, match="first"), StopRequest():  # what ends it anyhow stays
        os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError("first")
    with StopRequest():
        pass


def test_outside_of_with_nothing_is_asked_for():
    stop = StopRequest()
    stop.check()
    assert not stop.agreed(any_process=bool) and not stop.forced
    stop.check()


def test_outside_of_with_another_process_may_ask():
    stop = StopRequest()
    assert stop.agreed(any_process=lambda asked: True)
    with pytest.raises(Interrupted):
        stop.check()


DROPPED = """
import signal, time, weakref
from toolkit.cli.parser import run_script

class Clip:
    pass

class Dying(Clip):
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def main():
    if {in_callback}:
        clip = Clip()
        reference = weakref.ref(clip, lambda _: signal.raise_signal(signal.SIGINT))
        del clip
    else:
        Dying()
    time.sleep(60)

run_script(main)
"""


@pytest.mark.parametrize("in_callback", [True, False])
def test_a_ctrl_c_that_python_drops_ends_the_run_all_the_same(in_callback):
    """It comes in a weak reference's callback, or in a __del__: Python ignores every exception there."""
    started = time.monotonic()
    code = DROPPED.format(in_callback=in_callback)
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (130, "", "interrupted; nothing was written\n")
    assert time.monotonic() - started < 60


def test_what_else_python_drops_is_shown_as_ever():
    code = """
from toolkit.cli.parser import run_script

class Dying:
    def __del__(self):
        raise KeyError("a bug")

def main():
    Dying()

run_script(main)
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0 and run.stderr.startswith("Exception ignored in") and "a bug" in run.stderr
