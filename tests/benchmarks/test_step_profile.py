"""The profile of a tiny run: its tables add up, and count what happens."""

import io
from contextlib import redirect_stdout
from types import SimpleNamespace

import pytest
import step_profile
import torch
from step_phases import ALL, Measured, OperatorCount, count_kernels, measure_phases
from torch.autograd import DeviceType
from torch.autograd.profiler_util import Interval


@pytest.fixture(scope="module")
def tables():
    """Of each table its rows, {first cell: [other cells]}."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        step_profile.main(
            "--depth=2 --batch_size=4 --seconds=0.3 --clips=16 --epochs=2 --num_workers=0 --steps=1 "
            "--operators=3 --num_conv_blocks=2 --features=mel_512_512_16".split()
        )
    return [
        {
            cells[0]: cells[1:]
            for cells in ([cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines())
        }
        for part in printed.getvalue().split("\n\n")
        if part.startswith("|")
    ]


def test_parts_of_an_epoch_add_up(tables):
    epoch = tables[0]
    parts = {
        name: float(cells[1])
        for name, cells in epoch.items()
        if cells[0][0].isdigit() and not name.startswith(("of it", "in a thread"))
    }
    whole = parts.pop("**all**")
    assert sum(parts.values()) == pytest.approx(whole, abs=0.02)
    assert parts["everything else"] >= 0
    for name in ("forward", "backward", "loss", "moving and augmenting"):
        assert epoch[name][3] == "2.0"
    for name in ("refreshing the head", "validation", "settling metrics"):
        assert epoch[name][3] == "1.0"
    assert epoch["waiting for the loader"][3] == "3.0"  # the third finds the end
    # The last epoch's own, final_model and last.pth at least, and what the thread may still have to write of
    # the one before: with best models up to three and two.
    assert 2 <= float(epoch["in a thread: writing checkpoints"][3]) <= 5


def test_phases_of_a_step_and_of_inference(tables):
    step, inference = tables[1], tables[3]
    assert list(step)[2:] == ["moving and augmenting", "forward and loss", "backward", "optimizer", ALL]
    counts = [int(cells[2]) for cells in list(step.values())[2:]]
    assert all(counts) and sum(counts[:-1]) == counts[-1]
    assert list(inference)[2:] == ["front end", "network", ALL]
    assert len(tables[2]) == len(tables[4]) == 2 + 3  # the operators asked for


def test_operators_are_counted_by_what_reaches_a_kernel():
    x = torch.ones(3)
    with OperatorCount() as count:
        ((x + 1) * 2).view(3)
    assert count.n == 3


def test_phases_are_means_of_the_steps_and_see_each_step():
    x, seen = torch.ones(3), []
    measured, _ = measure_phases({"add": lambda step: [seen.append(step), x + 1]}, 2, torch.device("cpu"))
    assert measured["add"].operators == measured[ALL].operators == 1
    assert seen == [0, 0, 1, 0, 1, 0, 1, 0, 1]  # warm-up, counting, all, each, profile


def test_kernels_count_for_the_phase_within_whose_time_they_lie():
    """Two steps: the second phase launches two kernels in one, none in the other; and a copy in between."""

    def event(name: str, start: float, end: float, device=DeviceType.CPU, named=False):
        span = Interval(start, end)
        return SimpleNamespace(name=name, time_range=span, device_type=device, is_user_annotation=named)

    events = [
        event("first", 0, 10), event("second", 10, 30), event("first", 30, 40), event("second", 40, 50),
        event("first", 0, 10, DeviceType.CUDA, named=True),
        event("cudaLaunchKernel", 11, 12), event("cudaLaunchKernelExC", 12, 13),
        event("cudaMemcpyAsync", 1, 2),
        event("aten::mul", 11, 14), event("cudaStreamSynchronize", 20, 30),
        event("kernel", 14, 18, DeviceType.CUDA), event("kernel", 18, 20, DeviceType.CUDA),
        event("Memcpy", 3, 4, DeviceType.CUDA),
    ]  # fmt: skip
    measured = {name: Measured() for name in ("first", "second", ALL)}
    count_kernels(SimpleNamespace(events=lambda: events), measured, n_steps=2)
    assert [measured[name].launches for name in measured] == [0.5, 1.0, 1.5]
    microseconds = [1e6 * measured[name].kernel_seconds for name in measured]
    assert microseconds == pytest.approx([0.5, 3.0, 3.5])
