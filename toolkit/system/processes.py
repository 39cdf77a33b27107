"""The processes of one run under torchrun: who am I, what do the others have, is one of them gone.

Without torchrun a process is alone: no process group, and every function here returns at once.
torch is imported where a group is made, since scripts without torch ask who they are, too.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np

from ops.errors import DataError, ProblemsError
from toolkit.system.interruption import Interrupted, StopRequest

TIMEOUT = timedelta(minutes=10)  # without a sign of life
PATIENCE = timedelta(days=1000)  # for another's folds
POLL_SECONDS = 0.05
LOST = (
    "a process of this run was lost (killed, out of memory, stuck for {minutes:g} minutes, or its machine is "
    "gone); all of them end. What was saved is whole: go on with {command}, or have torchrun do it "
    "(--max_restarts=3)"
)
Value = TypeVar("Value")


@dataclass(frozen=True)
class Launch:
    """This process among those that torchrun started, from the environment it sets.

    identity: the same for the processes of one torchrun command and their restarts.
    """

    rank: int
    world_size: int
    local_rank: int
    local_world_size: int
    restarts: int
    identity: str


def launch() -> Launch | None:
    """What started this process together with others; None where nothing did."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    if not all(os.environ.get(name) for name in names):
        return None
    number = {name: int(os.environ[name]) for name in names[:3]}
    identity = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    if identity == "none":  # no --rdzv_id: then one machine's torchrun is the parent of both attempts
        identity = f"none-{os.environ['MASTER_ADDR']}-{os.getppid()}"
    return Launch(
        number["RANK"],
        number["WORLD_SIZE"],
        number["LOCAL_RANK"],
        int(os.environ.get("LOCAL_WORLD_SIZE", 1)),
        int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0)),
        identity,
    )


class _Group:
    """The processes of the run: a group for the network's tensors, one on the CPU for everything else."""

    def __init__(self, device, timeout: timedelta, gradients: bool):
        import torch.distributed as dist

        self.dist, self.timeout = dist, timeout
        try:
            store, self.rank, self.world_size = next(dist.rendezvous("env://", timeout=timeout))
            self.store = dist.PrefixStore(f"attempt_{launch().restarts}", store)
            if device.type == "cuda":
                import torch

                torch.cuda.set_device(device)
            backend = "nccl" if gradients and device.type == "cuda" else "gloo"
            dist.init_process_group(
                backend,
                store=dist.PrefixStore("group", self.store),
                rank=self.rank,
                world_size=self.world_size,
                timeout=timeout,
            )
            self.control = dist.new_group(backend="gloo") if backend == "nccl" else dist.group.WORLD
            self.patient = dist.new_group(backend="gloo", timeout=PATIENCE)
        except (RuntimeError, ValueError) as error:
            raise DataError(
                f"the {os.environ['WORLD_SIZE']} processes of this run did not find each other at "
                f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']} ({_first_line(error)}); start all "
                "nodes with the same --rdzv_endpoint, reachable from each of them"
            ) from error

    def hang_up(self) -> None:
        """Closes the connections: the last reference goes, too."""
        self.control = self.patient = None
        if self.dist.is_initialized():
            self.dist.destroy_process_group()


_group: _Group | None = None  # the processes that share this one's work
_joined: _Group | None = None  # those of the launch, sharing it or not


@contextmanager
def joined(device, timeout: timedelta = TIMEOUT, gradients: bool = False) -> Iterator[None]:
    """Within it the processes that torchrun started work together; a single one stays alone.

    An error of one process ends all of them with that error; where one is lost, the others raise a
    DataError that says so.

    Args:
        device: where this process keeps its network.
        gradients: they travel between the processes, on GPUs by nccl, which takes one process a GPU. Without
            them processes may share a GPU, and what little travels goes over the CPU.
    """
    global _group, _joined
    started = launch()
    if started is None or started.world_size == 1:
        yield
        return
    _group = _joined = group = _Group(device, timeout, gradients)
    try:
        yield
    except (DataError, Interrupted) as error:
        _leave_word(error)
        raise
    except RuntimeError as error:
        if not _is_lost_contact(error):
            raise
        raise _reason_of_the_others() from error
    else:
        group.hang_up()  # not after an error: it may wait for the others
    finally:
        _group = None


@contextmanager
def alone() -> Iterator[None]:
    """Within it this process works for itself, whatever the others do."""
    global _group
    before, _group = _group, None
    try:
        yield
    finally:
        _group = before


def rank() -> int:
    return 0 if _group is None else _group.rank


def world_size() -> int:
    return 1 if _group is None else _group.world_size


def is_main() -> bool:
    """Whether this process writes the files of what it works on."""
    return rank() == 0


def shows_progress() -> bool:
    """Whether this process shows progress bars: one of the launch does."""
    started = launch()
    return started is None or started.rank == 0


def gather(value: Value) -> list[Value]:
    """Every process's value (picklable), in the order of ranks."""
    if _group is None:
        return [value]
    values: list[Any] = [None] * _group.world_size
    _group.dist.all_gather_object(values, value, group=_group.control)
    return values


def from_main(function: Callable[[], Value], stop: StopRequest | None = None) -> Value:
    """What the function (picklable result) returns, or the DataError it raises, on rank 0, for all.

    stop: of a function that may take longer than TIMEOUT; looked at by those that wait.
    """
    if _group is None:
        return function()
    outcome: list[Any] = [None]
    if _group.rank == 0:
        try:
            outcome = [(function(), None)]
        except DataError as error:
            outcome = [(None, error)]
    if stop is not None:
        wait_for_all(stop)
    _group.dist.broadcast_object_list(outcome, src=0, group=_group.control)
    value, error = outcome[0]
    if error is not None:
        raise error
    return value


def wait_for_all(stop: StopRequest) -> None:
    """Holds this process until all have come here, however long that takes; stop is looked at meanwhile."""
    if _group is None:
        return
    arrival = _group.dist.barrier(group=_group.patient, async_op=True)
    while not arrival.is_completed():
        stop.check()
        time.sleep(POLL_SECONDS)
    arrival.wait()  # raises where another was lost


def any_rank(flag: bool) -> bool:
    """Whether the flag is set on any process."""
    return bool(total(np.array([float(flag)]))[0])


def total(values: np.ndarray) -> np.ndarray:
    """The sum of float64 arrays over processes."""
    if _group is None:
        return values
    import torch

    summed = torch.from_numpy(np.array(values, dtype=np.float64))
    _group.dist.all_reduce(summed, group=_group.control)
    return summed.numpy()


def broadcast(tensors: list) -> None:
    """Overwrites the tensors of all processes with those of rank 0."""
    if _group is not None:
        for tensor in tensors:
            _group.dist.broadcast(tensor, src=0)


def take_number(counter: str) -> int:
    """0, 1, 2, ...: each number goes to one process, the first that asks."""
    return _joined.store.add(f"counter/{counter}", 1) - 1


def wait_until_saved(seconds: float) -> None:
    """Holds the others until rank 0 comes here: torchrun signals all once the first process has ended."""
    if is_main():
        _on_store(lambda store: store.set("saved", "yes"))
    else:
        _on_store(lambda store: store.wait(["saved"], timedelta(seconds=seconds)))


def is_first_to_say(message: str) -> bool:
    """False where another process of this run has said the same."""
    if _joined is None:
        started = launch()
        return started is None or started.local_rank == 0
    count = _on_store(lambda store: store.add(f"said/{message}", 1))
    return count is None or count == 1


def leave(code: int, patience: float = 3.0) -> None:
    """The last thing a process does before it exits with the code.

    Without torchrun's agent rank 0 keeps what all of them know: it hangs up, so that the others notice,
    and waits a moment while they look up why.
    """
    global _joined
    group, count = _joined, _on_store(lambda store: store.add("left", 1))
    if group is None:
        return
    if group.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        group.hang_up()
        deadline = time.monotonic() + patience
        while count is not None and count < group.world_size and time.monotonic() < deadline:
            time.sleep(0.02)
            count = _on_store(lambda store: store.add("left", 0))
    if group.dist.is_initialized():  # after an error: tearing the group down may wait for the others
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    _joined = None


def _on_store(ask: Callable) -> Any:
    """What the store of the processes answers; None where there is none (any more)."""
    if _joined is None:
        return None
    try:
        return ask(_joined.store)
    except RuntimeError:
        return None


def _leave_word(error: Exception) -> None:
    """The others lose contact with this process in a moment: here they find why."""
    lines = [] if type(error) is Interrupted else getattr(error, "lines", [str(error)])
    _on_store(lambda store: store.set("ended", json.dumps(lines)))


def _reason_of_the_others() -> Exception:
    if _on_store(lambda store: store.check(["ended"])):
        lines = json.loads(_on_store(lambda store: store.get("ended")) or "[]")
        return ProblemsError(lines) if lines else Interrupted()  # of one line, the same as a DataError
    minutes = _joined.timeout.total_seconds() / 60
    return DataError(LOST.format(minutes=minutes, command="the same command (training: and --resume)"))


def _is_lost_contact(error: RuntimeError) -> bool:
    """gloo raises plain RuntimeErrors that name its transport."""
    text = str(error).lower()
    signs = ("gloo", "nccl", "connection closed by peer", "connection reset", "socket timeout")
    return isinstance(error, _joined.dist.DistError) or any(sign in text for sign in signs)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
