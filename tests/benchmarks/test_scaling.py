"""The arithmetic of benchmarks/scaling.py, against cases worked out by hand."""

import pytest
import scaling

DATA = scaling.DataSet(clips=1000, hours=1000 * 20 / 3600, classes=10)  # clips of 20 s


def flags(**changed: float):
    return scaling.parse_args([f"--{name}={value}" for name, value in changed.items()])


def test_hours_on_one_gpu_by_hand():
    spent = scaling.training_hours(
        DATA, 1, flags(epochs=3, folds=4, train_rate=50, predict_rate=100, core_rate=10, cores=2, cache=0)
    )
    # 750 clips of 10 s a pass to train on, 250 of 20 s to validate on: 750 and 500 tens of seconds
    assert spent["GPU"] * 3600 == pytest.approx(3 * (750 / 50 + 500 / 100))
    assert spent["cores"] * 3600 == pytest.approx(3 * (750 + 500) / 20)
    assert spent["disk"] * 3600 == pytest.approx(3 * (1.5 * 7500 + 5000) * 88200 / 2e9)
    assert spent["gradients"] == spent["scores"] == 0
    assert spent["metric"] * 3600 == pytest.approx(3 * 250 * 10 / 2.9e6)


def test_what_fits_in_memory_is_read_once():
    often, once = (scaling.training_hours(DATA, 1, flags(cache=size))["disk"] for size in (1, 100))
    assert often == pytest.approx(100 * once)


def test_gpus_divide_the_work_but_not_the_traffic():
    one, eight, many = (scaling.training_hours(DATA, n, flags()) for n in (1, 8, 64))
    assert eight["GPU"] == pytest.approx(one["GPU"] / 8) and many["cores"] == pytest.approx(one["cores"] / 64)
    assert eight["disk"] == one["disk"] == pytest.approx(8 * many["disk"])  # the same node, then eight
    # 2 * 7/8 * 4 bytes of each of 9.25e6 weights a step of 8 * 64 clips, at 200 GB/s
    steps = 100 * 800 / 512
    assert eight["gradients"] * 3600 == pytest.approx(steps * 1.75 * 4 * 9.25e6 / 200e9)


def test_the_slowest_of_gpu_cores_and_disk_counts_and_the_rest_on_top():
    spent = {"GPU": 3.0, "cores": 2.0, "disk": 1.0, "gradients": 0.5, "scores": 0.25, "metric": 0.25}
    assert scaling.in_all(spent) == 4.0


def test_table_names_the_first_bottleneck(capsys):
    scaling.main(["--core_rate=6", "--gpus", "1", "--data_sets", "FSDKaggle2019"])
    row = capsys.readouterr().out.splitlines()[2].split()
    assert row[0] == "1" and row[2] == "cores" and float(row[1]) == pytest.approx(8.7, abs=0.05)
