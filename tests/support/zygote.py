"""Starts training and prediction quickly: imports once, then forks a real process a command.

Reads a JSON line {"argv": [...], "log": path} from stdin, forks, answers with the child's pid; answers
a line {"wait": pid} with its exit status, negative for a signal. "script" names another script than
train_2d_cnn, "cwd" the folder it runs in, "env" adds to the environment. With "kill_at_write": n the
process kills itself (SIGKILL) within its n-th write of a file. With "trace": path its batch norms keep
their statistics fixed, and it writes what it trained on and its losses to <path>.<rank>. Importing takes
seconds, the runs that the
tests kill take less.
"""

import json
import os
import signal
import stat
import sys
import traceback
import zlib
from pathlib import Path

import iterstrat.ml_stratifiers  # noqa: F401  what a run imports when it comes to it
import torch
import torch._dynamo
import torch.distributed.distributed_c10d  # noqa: F401

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import predict_2d_cnn  # noqa: E402
import pretrain  # noqa: E402
import run_noisy_rounds  # noqa: E402
import train_2d_cnn  # noqa: E402
import train_embedding_head  # noqa: E402
from networks.blocks import BatchNorm1d, BatchNorm2d  # noqa: E402
from toolkit.cli.parser import run_script  # noqa: E402
from toolkit.runs.summaries import FoldSummaries  # noqa: E402
from toolkit.training import trainer  # noqa: E402

SCRIPTS = {
    "train_2d_cnn": train_2d_cnn,
    "predict_2d_cnn": predict_2d_cnn,
    "pretrain": pretrain,
    "run_noisy_rounds": run_noisy_rounds,
    "train_embedding_head": train_embedding_head,
}


def kill_at_write(number: int) -> None:
    """Kills this process at the number-th call of fsync (half of the file is left) or replace."""
    calls = 0

    def counted(function):
        def call(*arguments):
            nonlocal calls
            calls += 1
            if calls == number:
                if function is fsync and stat.S_ISREG(os.fstat(arguments[0]).st_mode):
                    os.truncate(arguments[0], os.fstat(arguments[0]).st_size // 2)
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments)

        return call

    fsync = os.fsync
    os.fsync, os.replace = counted(os.fsync), counted(os.replace)


def trace_to(path: str) -> None:
    """Fixes batch norms and appends to path: a line a batch, [[fname, checksum], ...], and a line a loss."""
    for norm in (BatchNorm1d, BatchNorm2d):
        norm.train = lambda self, mode=True: torch.nn.Module.train(self, False)
    train_batch = trainer.Trainer._train_batch

    def write(line) -> None:
        with open(path, "a") as file:
            file.write(json.dumps(line) + "\n")

    def traced(self, batch, *arguments):
        rows = zip(batch["fnames"], batch["signal"], batch["lengths"], strict=True)
        write([[name, zlib.crc32(signal[:length].numpy())] for name, signal, length in rows])
        return train_batch(self, batch, *arguments)

    trainer.Trainer._train_batch = traced
    FoldSummaries.training_step = lambda self, step, loss, *_: write({"step": step, "loss": loss})


def child(argv: list[str], log: str, command: dict) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stderr.isatty = lambda: True  # progress bars, by which tests tell how far a process is
    os.environ["NO_COLOR"] = "1"
    os.setpgrp()
    os.environ.update(command.get("env", {}))
    torch.set_num_threads(1)
    os.chdir(command.get("cwd", "."))
    script = command.get("script", "train_2d_cnn")
    sys.argv = [f"{script}.py", *argv]
    if command.get("kill_at_write") is not None:
        kill_at_write(command["kill_at_write"])
    if "trace" in command:
        trace_to(f"{command['trace']}.{command.get('rank', 0)}")
    try:
        run_script(SCRIPTS[script].main)
    except SystemExit as stopped:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(stopped.code or 0)
    except BaseException:
        traceback.print_exc()
        os._exit(99)


print("ready", flush=True)
for line in sys.stdin:
    command = json.loads(line)
    if "wait" in command:
        _, status = os.waitpid(command["wait"], 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
        continue
    pid = os.fork()
    if pid == 0:
        child(command["argv"], command["log"], command)
    print(pid, flush=True)
