"""Batches from loader processes: with little shared memory, too, and never awaited from a dead one."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.reduction import ForkingPickler
from types import TracebackType
from typing import Any

import torch
from torch.utils.data import DataLoader

from toolkit.system import console
from toolkit.system.interruption import LoaderLost

MIN_SHARED_BYTES = 2**16  # a smaller tensor travels with the message: shared it costs a file handle
SPARE_HANDLES = 8
UNSENT = "one ended before its batch had arrived"
LOST = ("DataLoader worker (pid", "Pin memory thread exited", UNSENT)  # how messages begin, torch's and ours


class BatchLoader:
    """The batches of a DataLoader, or of one without processes where these cannot be started.

    Raises LoaderLost where a batch is waited for and a loader process was ended, be it another loader's.

    Args:
        make: (processes, collate) -> the DataLoader.
        n_processes: that load; 0: the main process does.
        collate: samples -> a dict of tensors and other values.
    """

    def __init__(self, make: Callable[[int, Callable], DataLoader], n_processes: int, collate: Callable):
        self._make, self._collate = make, collate
        self._loader = make(n_processes, _ParcelMaker(collate) if n_processes else collate)
        self._next_pass: Iterator[dict] | None = None

    @property
    def dataset(self) -> Any:
        return self._loader.dataset

    def __len__(self) -> int:
        return len(self._loader)

    def start(self) -> None:
        """Has the processes begin to load; the next iteration goes on with what they have by then."""
        if self._loader.num_workers:
            with _losses_told():
                self._next_pass = self._started()

    def __iter__(self) -> Iterator[dict]:
        with _losses_told():
            batches, self._next_pass = self._next_pass or self._started(), None
        if not self._loader.num_workers:
            yield from batches
            return
        while True:
            with _losses_told():
                try:
                    with _noticing_deaths():
                        batch = next(batches)
                except StopIteration:
                    return
                except RuntimeError:
                    _abandoned.append(batches)  # ending the other processes might wait for the lost one
                    raise
            yield batch

    def _started(self) -> Iterator[dict]:
        try:
            batches = iter(self._loader)
        except OSError as error:  # no semaphores, no further process, no file handle left
            console.warn_once(
                f"loader processes cannot be started ({error.strerror or error}); the main process loads the "
                "clips, which is slower and gives the same results (--num_workers=0 does so without trying)"
            )
            _drop_half_made(error)
            self._loader = self._make(0, self._collate)
            return iter(self._loader)
        handler = signal.getsignal(signal.SIGCHLD)
        if callable(handler) and _can_handle_signals():
            # torch's raises wherever the program is, in the midst of a training step, too.
            _noticed_by[:] = [handler]
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        return batches


@contextmanager
def _losses_told() -> Iterator[None]:
    """Makes LoaderLost of torch's errors that say so."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith(LOST):
            raise
        first = str(error).splitlines()[0].removeprefix("DataLoader worker ")
        said = first.split(". ")[0].rstrip(".")
        raise LoaderLost(
            f"a loader process was ended by the system: {said} (where memory ran out, lower --num_workers or "
            "--batch_size)"
        ) from error


def _drop_half_made(error: OSError) -> None:
    """Ends the processes that did start; torch's iterator without all of its parts complains when it goes."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        traceback.clear_frames(error.__traceback__)
    finally:
        sys.unraisablehook = hook


_abandoned: list[Iterator] = []
_noticed_by: list[Callable] = []  # torch's handler of SIGCHLD, which it installs once a process


@contextmanager
def _noticing_deaths() -> Iterator[None]:
    """Within it a RuntimeError tells at once of a loader process that was ended, now or before."""
    if not _noticed_by or not _can_handle_signals():
        yield
        return
    signal.signal(signal.SIGCHLD, _noticed_by[0])
    try:
        _noticed_by[0](signal.SIGCHLD, None)
        yield
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _can_handle_signals() -> bool:
    return threading.current_thread() is threading.main_thread()


def prepare_loader_process(worker: int) -> None:
    """What a loader process does first."""
    # Ctrl-C and `kill -- -<group>` reach the main process alone, which then ends its workers.
    os.setpgrp()
    sys.excepthook = _tell_unless_hung_up


def _tell_unless_hung_up(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Of the thread that hands shared memory over: a main process that ends takes no more of it."""
    if not issubclass(kind, (ConnectionError, EOFError)):
        sys.__excepthook__(kind, error, trace)


class _ParcelMaker:
    """A collate function whose batches can be sent."""

    def __init__(self, collate: Callable):
        self.collate = collate

    def __call__(self, samples: list) -> _Parcel:
        return _Parcel(self.collate(samples))


class _Parcel:
    """A batch on its way to the main process: unpickled it is the batch itself.

    A queue's thread does the pickling: what fails there is dropped, and the batch is awaited for ever. So
    the batch is pickled here; where there is no shared memory for it (a container has 64 MB unless told
    otherwise), or no file handle, it goes through the queue's pipe as a whole.
    """

    def __init__(self, batch: dict):
        self.batch = batch

    def __reduce__(self) -> tuple:
        tensors = {name: value for name, value in self.batch.items() if isinstance(value, torch.Tensor)}
        shared = {name: value for name, value in tensors.items() if value.nbytes >= MIN_SHARED_BYTES}
        try:
            try:
                _require_handles()
                return _unpacked, (self._packed(tensors.keys() - shared.keys()), "")
            except (OSError, RuntimeError) as error:
                lacks = "room in /dev/shm" if "shared memory" in str(error) else "file handles or sockets"
                return _unpacked, (self._packed(tensors.keys()), lacks)
        except MemoryError:
            return _fail, ("a loader process had no memory to send its batch",)

    def _packed(self, copied: set[str]) -> bytes:
        arrays = {name: self.batch[name].numpy() for name in copied}
        return bytes(ForkingPickler.dumps(({**self.batch, **dict.fromkeys(arrays)}, arrays)))


def _require_handles() -> None:
    """Raises OSError where none would be left for the sockets that hand the shared memory over."""
    opened: list[int] = []
    try:
        for _ in range(SPARE_HANDLES):
            opened.append(os.open(os.devnull, os.O_RDONLY))
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _unpacked(packed: bytes, lacks: str) -> dict:
    if lacks:
        console.warn_once(
            f"loader processes lack {lacks} for their batches and copy them through pipes, which is slower "
            "and gives the same results; lower --num_workers or --batch_size, or give them more (docker run "
            "--shm-size=2g, ulimit -n 4096)"
        )
    try:
        batch, arrays = pickle.loads(packed)
    except (ConnectionError, EOFError, FileNotFoundError) as error:  # its sender hands the memory over
        raise RuntimeError(UNSENT) from error
    return batch | {name: torch.from_numpy(array) for name, array in arrays.items()}


def _fail(message: str) -> None:
    raise MemoryError(message)
