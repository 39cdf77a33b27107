"""What the tests of several scripts share."""

import os
import subprocess
from pathlib import Path

import pytest

import train_2d_cnn


@pytest.fixture
def full_flags(toy, training_flags, tmp_path):
    """full_flags(folder, ...) -> a short run with every kind of file and random draw."""

    def make(folder: str, *extra: str, **changed) -> list[str]:
        return training_flags(
            *extra,
            **{
                "experiments_dir": tmp_path / folder,
                "test_data_dir": toy.folder / "test",
                "sample_submission": toy.folder / "sample_submission.csv",
                "epochs": 3,
                "batch_size": 2,
                "accumulation_steps": 2,
                "p_mixup": 0.5,
                "output_dropout": 0.3,
                "log_interval": 2,
                **changed,
            },
        )

    return make


@pytest.fixture
def finished_experiment(training_flags, only_experiment):
    """An experiment of two folds, an epoch each."""
    train_2d_cnn.main(training_flags(epochs=1))
    return only_experiment()


@pytest.fixture
def small_disk(tmp_path):
    """small_disk(kilobytes) -> a folder on a tmpfs of that size; needs root."""
    mounted = []

    def mount(kilobytes: int, name: str = "small_disk") -> Path:
        folder = tmp_path / name
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a tmpfs needs root")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)
