"""Requests to stop."""

import os
import signal

import pytest

from toolkit.system.interruption import Interrupted, StopRequest


def test_a_stop_after_the_last_check_is_not_forgotten():
    with pytest.raises(Interrupted), StopRequest():
        os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(ValueError, match="first"), StopRequest():  # what ends it anyhow stays
        os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError("first")
    with StopRequest():
        pass
