"""Ways of a job side by side: their turns, rows and limits of time, on jobs that take no time."""

import sys
import time

import comparison
import pytest
import run
import torch
from comparison import Comparison, Limits, LocalWay, Measurement, ProcessWay, TimeUp, time_limit
from inputs import SharedClips
from jobs import GPU_JOBS, JOBS, five_folds, inference, lsep, training

from ops.losses import lsep_loss

CPU, TWICE = torch.device("cpu"), Limits(2)


def measured(capsys, job: Comparison, limits: Limits = TWICE, clips=None) -> dict[str, str]:
    """Measures all ways in this process; each one's last line."""
    Measurement(job, limits, lambda way, count: LocalWay(job.ways[way], CPU, clips, count)).run(
        list(job.ways)
    )
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    return {
        name: line.removeprefix(name).strip()
        for line in lines
        for name in job.ways
        if line.startswith(f"{name}  ")
    }


def noting(calls: list, name: str):
    return lambda *_: lambda repeat: calls.append((name, repeat))


def test_ways_take_turns_and_those_that_compile_come_last_beside_the_plain_one(capsys):
    calls: list = []
    names = ["plain", "ours --compile", "ours"]
    rows = measured(capsys, Comparison("job", {name: noting(calls, name) for name in names}))
    assert calls == [("plain", 0), ("ours", 0), ("plain", 1), ("ours", 1), ("plain", 2), ("ours", 2),
                     ("ours --compile", 0),
                     ("plain", 3), ("ours --compile", 1), ("plain", 4), ("ours --compile", 2)]  # fmt: skip
    assert all("n = 2" in rows[name] for name in names)


def test_rows_have_ratio_target_clips_and_speed(capsys, monkeypatch):
    seconds = iter([2.0, 0.5, 4.0, 0.5, 2.0, 1.0])
    monkeypatch.setattr(LocalWay, "repeat", lambda self: next(seconds))
    flops = lambda *_: lambda repeat: torch.ones(2, 3) @ torch.ones(3, 5)  # noqa: E731  60 of them
    job = Comparison("job", {"plain": flops, "ours": flops}, {"ours": "x 3.00"}, 4, counts_flops=True)
    rows = measured(capsys, job, Limits(3))
    assert rows["plain"].startswith("2000.00 ms   x   1.00") and "2.0 clips/s" in rows["plain"]
    assert rows["ours"].startswith("500.00 ms   x   4.00") and "target x 3.00" in rows["ours"]
    assert "8.0 clips/s" in rows["ours"] and "TFLOP/s" in rows["ours"]


def test_flops_are_counted_once_a_job(monkeypatch, capsys):
    counted = []
    monkeypatch.setattr(comparison, "counted_flops", lambda job: counted.append(job(0)) or 7)
    calls: list = []
    ways = {name: noting(calls, name) for name in ("plain", "ours", "ours --amp")}
    measured(capsys, Comparison("job", ways, counts_flops=True), Limits(1))
    assert len(counted) == 1 and calls.count(("plain", 0)) == 1


def test_a_product_of_matrices_has_two_flops_an_element():
    assert comparison.counted_flops(lambda _: torch.ones(2, 3) @ torch.ones(3, 5)) == 2 * 2 * 3 * 5


def test_a_way_that_lacks_something_is_left_out_and_the_others_go_on(capsys):
    def lacking(*_):
        raise RuntimeError("first line\nno SoX")

    def failing(*_):
        def job(repeat: int) -> None:
            if repeat == 2:
                raise ValueError("broken")

        return job

    rows = measured(capsys, Comparison("job", {"plain": lacking, "ours": noting([], ""), "other": failing}))
    assert rows["plain"] == "left out: no SoX"
    assert "n = 2" in rows["ours"] and " x " not in rows["ours"]
    assert "n = 1" in rows["other"]


def test_a_job_whose_time_is_over_ends_with_what_it_has(capsys):
    def slow(*_):
        return lambda repeat: time.sleep(0.06 * (repeat > 0))

    ways = {"plain": slow, "ours": slow, "ours --compile": slow}
    rows = measured(capsys, Comparison("job", ways), Limits(50, seconds=0.1))
    assert "n = 1" in rows["plain"] and "n = 1" in rows["ours"]
    assert "left out" in rows["ours --compile"]


def test_a_way_that_does_not_get_ready_is_stopped(capsys):
    def endless(*_):
        while True:
            try:
                time.sleep(1)
            except Exception:  # as a compiler that tries something else
                pass

    rows = measured(capsys, Comparison("job", {"plain": noting([], ""), "ours": endless}), Limits(2, 0.05))
    assert "not ready within" in rows["ours"]


def test_time_limit_leaves_no_alarm_behind():
    with pytest.raises(TimeUp), time_limit(0.01):
        time.sleep(5)
    with time_limit(0.05):
        pass
    time.sleep(0.1)


def test_way_in_a_process_of_its_own():
    code = (
        "import sys\nprint('{\"peak_mib\": 1}', flush=True)\n"
        "for number, _ in enumerate(sys.stdin):\n"
        "    assert number < 2, 'no third time'\n"
        '    print(f\'{{"seconds": {number}, "peak_mib": {5 + number}}}\', flush=True)'
    )
    way = ProcessWay([sys.executable, "-c", code], is_plain=True)
    assert (way.peak_mib, way.repeat(), way.repeat(), way.peak_mib) == (1, 0, 1, 6)
    with pytest.raises(RuntimeError, match="no third time"):
        way.repeat()
    way.close()


def test_real_jobs_in_one_process(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.FOLDS_CLIPS", 2)
    clips = SharedClips(tmp_path)
    for make, arguments in ((training, ("2d", 4, 2)), (inference, ("2d", 4, 2)), (five_folds, (2, 0))):
        ways = {"plain": make(*arguments, plain=True), "ours --amp": make(*arguments, amp=True)}
        rows = measured(capsys, Comparison("job", ways, n_clips=2), Limits(1), clips)
        assert all("ms" in row and "clips/s" in row for row in rows.values()) and len(rows) == 2
    rows = measured(capsys, Comparison("job", {"ours": lsep(lsep_loss, 5)}), Limits(1))
    assert "ms" in rows["ours"]


def test_targets_are_those_of_ways():
    for job in (*JOBS.values(), *GPU_JOBS.values()):
        assert set(job.targets) <= set(job.ways)
        ratios = [target for target in job.targets.values() if target.startswith("x ")]
        assert not ratios or next(iter(job.ways)) == "plain"


def test_command_names_the_jobs_of_a_device(capsys):
    assert list(run.parse_args(["--jobs", "lsep", "folds"]).jobs) == ["lsep", "folds"]
    assert run.parse_args([]).jobs == JOBS
    with pytest.raises(SystemExit):
        run.parse_args(["--jobs", "lsep_20000"])
    assert "expected jobs of cpu (train_2d, " in capsys.readouterr().err


def test_memory_of_a_way_on_a_gpu_is_its_own(monkeypatch):
    """Others hold 100 MiB; it keeps 30, then 20 more from its first repeat on, and takes 7 in passing."""
    mib, memory = 2**20, {"now": 100 * 2**20, "peak": 0}

    def take(lasting: int) -> None:
        memory["now"] += lasting * mib
        memory["peak"] = max(memory["peak"], memory["now"] + 7 * mib)

    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: memory["now"])
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: memory["peak"])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _: memory.update(peak=memory["now"]))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)

    def setup(*_):
        take(30)
        return lambda repeat: take(20 if repeat == 1 else 0)

    way = LocalWay(setup, torch.device("cuda"), None)
    assert way.peak_mib == 37
    way.repeat()
    take(500)  # another way
    way.repeat()
    assert way.peak_mib == 57
