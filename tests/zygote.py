"""Starts training processes quickly: imports once, then forks a real process a command.

Reads a JSON line {"argv": [...], "log": path} from stdin, forks, answers with the child's pid; answers
a line {"wait": pid} with its exit status, negative for a signal. Importing takes seconds, the runs
that the tests kill take less.
"""

import json
import os
import sys
import traceback

import torch

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import train_2d_cnn  # noqa: E402
from ops import cli  # noqa: E402


def child(argv: list[str], log: str) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.setpgrp()
    torch.set_num_threads(1)
    sys.argv = ["train_2d_cnn.py", *argv]
    try:
        cli.run_script(train_2d_cnn.main)
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
        child(command["argv"], command["log"])
    print(pid, flush=True)
