"""Starts training processes quickly: imports once, then forks a real process a command.

Reads a JSON line {"argv": [...], "log": path} from stdin, forks, answers with the child's pid; answers
a line {"wait": pid} with its exit status, negative for a signal. The process runs train_2d_cnn.py, or
"script", in "cwd" where one is given. With "kill_at_write": n the process
kills itself (SIGKILL) within its n-th write of a file. Importing takes seconds, the runs that the
tests kill take less.
"""

import json
import os
import signal
import stat
import sys
import traceback

import torch

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import run_noisy_rounds  # noqa: E402
import train_2d_cnn  # noqa: E402
from ops import cli  # noqa: E402

SCRIPTS = {"train_2d_cnn.py": train_2d_cnn.main, "run_noisy_rounds.py": run_noisy_rounds.main}


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


def child(argv: list[str], log: str, number: int | None, script: str, cwd: str) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.setpgrp()
    torch.set_num_threads(1)
    os.chdir(cwd)
    sys.argv = [script, *argv]
    if number is not None:
        kill_at_write(number)
    try:
        cli.run_script(SCRIPTS[script])
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
        script, cwd = command.get("script") or "train_2d_cnn.py", command.get("cwd") or "."
        child(command["argv"], command["log"], command.get("kill_at_write"), script, cwd)
    print(pid, flush=True)
