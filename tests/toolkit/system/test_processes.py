"""Several processes: what they share, and how an error of one ends all."""

import os
import signal
import time
from datetime import timedelta

import numpy as np
import pytest
import torch

from ops.errors import DataError
from real_processes import environments, on_two_ranks
from toolkit.clips.problems import MalformedRow
from toolkit.clips.tables import read_table
from toolkit.system import processes
from toolkit.system.interruption import Interrupted, StopRequest

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


def test_processes_that_may_share_a_gpu_do_without_nccl(monkeypatch):
    """nccl refuses two processes on one GPU."""
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)

    def work(rank):
        with processes.joined(torch.device("cuda:0")):
            return torch.distributed.get_backend(), processes.gather(rank)

    assert on_two_ranks(work) == [("gloo", [0, 1])] * 2


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


def test_a_malformed_row_that_rank_0_reads_is_told_on_all(tmp_path):
    table = tmp_path / "train.csv"
    table.write_text("fname,labels\na.wav,Bark,Run\n")

    def work(_):
        with processes.joined(CPU):
            processes.from_main(lambda: read_table(table, ["fname", "labels"]))

    first, second = on_two_ranks(work)
    assert type(first) is type(second) is MalformedRow
    assert str(first) == str(second) and first.found == second.found
    assert str(first).startswith(f"{table}: row 1 has 3 cells")


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


def test_who_waits_for_all_waits_beyond_the_time_limit():
    def slow_answer():
        time.sleep(1.3)
        return "late"

    def work(_):
        with processes.joined(CPU, timedelta(seconds=1)):
            return processes.from_main(slow_answer, StopRequest())

    assert on_two_ranks(work) == ["late"] * 2


def test_who_waits_for_all_hears_of_a_stop_and_of_an_error():
    def stopped(rank):
        with StopRequest() as stop, processes.joined(CPU):
            if rank == 1:
                os.kill(os.getpid(), signal.SIGTERM)
                processes.wait_for_all(stop)
            processes.gather(None)

    assert [type(error) for error in on_two_ranks(stopped)] == [Interrupted] * 2

    def failed(rank):
        with processes.joined(CPU):
            if rank == 1:
                raise DataError("x.wav: broken")
            processes.wait_for_all(StopRequest())

    assert [str(error) for error in on_two_ranks(failed)] == ["x.wav: broken"] * 2


def test_processes_that_do_not_find_each_other_say_so(monkeypatch):
    for name, value in environments()[0].items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DataError, match="2 processes of this run did not find each other at 127.0.0.1:"):
        with processes.joined(CPU, timedelta(seconds=1)):
            pass
    assert processes.world_size() == 1
