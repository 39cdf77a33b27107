"""Several processes: what they share, and how an error of one ends all."""

import time
from datetime import timedelta

import numpy as np
import pytest
import torch

from ops.errors import DataError
from real_processes import environments, on_two_ranks
from toolkit.system import processes

CPU = torch.device("cpu")


def test_alone_nothing_is_shared_and_nothing_is_started(monkeypatch):
    assert processes.launch() is None
    with processes.joined(CPU):
        assert not torch.distributed.is_initialized()
        assert (processes.rank(), processes.world_size(), processes.is_main()) == (0, 1, True)
        assert processes.gather("x") == ["x"]
        assert processes.from_main(lambda: 3) == 3
        assert processes.any_rank(True) and not processes.any_rank(False)
    for name, value in environments()[0].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("WORLD_SIZE", "1")  # torchrun with one process
    with processes.joined(CPU):
        assert not torch.distributed.is_initialized()


def test_values_go_around():
    def work(rank):
        with processes.joined(CPU):
            return [
                processes.gather(rank * 10),
                processes.from_main(lambda: f"of {rank}"),
                processes.any_rank(rank == 1),
                processes.total(np.array([rank, 2.0])).tolist(),
                sorted(processes.gather([processes.take_number("x") for _ in range(2)])),
                processes.is_first_to_say("hello"),
            ]

    first, second = on_two_ranks(work)
    assert first[:4] == second[:4] == [[0, 10], "of 0", True, [1.0, 4.0]]
    assert sorted(number for numbers in first[4] for number in numbers) == [0, 1, 2, 3]
    assert {first[5], second[5]} == {True, False}


@pytest.mark.parametrize("culprit", [0, 1])
def test_an_error_of_one_process_ends_all_with_that_error(culprit):
    def work(rank):
        with processes.joined(CPU):
            if rank == culprit:
                raise DataError("x.wav: broken")
            processes.gather(None)

    assert [str(error) for error in on_two_ranks(work)] == ["x.wav: broken"] * 2


def test_an_error_on_rank_0_reaches_those_that_wait_for_its_answer():
    def fail():
        raise DataError("disk full")

    def work(_):
        with processes.joined(CPU):
            processes.from_main(fail)

    assert [str(error) for error in on_two_ranks(work)] == ["disk full"] * 2


def test_a_process_that_gives_no_sign_of_life_ends_the_others_in_time():
    def work(rank):
        with processes.joined(CPU, timedelta(seconds=1)):
            if rank == 1:
                time.sleep(4)
                return None
            processes.gather(None)

    started = time.monotonic()
    error, _ = on_two_ranks(work)
    assert isinstance(error, DataError) and "a process of this run was lost" in str(error)
    assert time.monotonic() - started < 15


def test_processes_that_do_not_find_each_other_say_so(monkeypatch):
    for name, value in environments()[0].items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DataError, match="2 processes of this run did not find each other at 127.0.0.1:"):
        with processes.joined(CPU, timedelta(seconds=1)):
            pass
    assert processes.world_size() == 1
