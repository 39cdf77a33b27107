"""Prediction in shards: by several processes, killed, and of another prediction."""

import shutil
import signal

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from real_processes import on_two_ranks, torchrun
from tiny_models import TinyModel
from toolkit.clips.loading import Clip
from toolkit.prediction import shards
from toolkit.system import processes
from toolkit.system.runtime import Runtime


@pytest.fixture(scope="module")
def experiment(toy, zygote, tmp_path_factory):
    """An experiment of one fold of two."""
    folder = tmp_path_factory.mktemp("experiments")
    flags = {
        "train_df": toy.folder / "train_curated.csv",
        "train_data_dir": toy.folder / "train_curated",
        "classmap": toy.classmap,
        "features": "mel_512_512_16",
        "aggregation_type": "max",
        "optimizer": "adam",
        "n_folds": 2,
        "folds": 0,
        "epochs": 1,
        "num_conv_blocks": 2,
        "conv_base_depth": 4,
        "start_deep_supervision_on": 0,
        "device": "cpu",
        "num_workers": 0,
        "experiments_dir": folder,
    }
    assert zygote.run([f"--{key}={value}" for key, value in flags.items()]) == 0, zygote.output()
    return next(folder.iterdir())


@pytest.fixture
def prediction_flags(toy, tmp_path, experiment):
    """flags(output, ...) of the prediction of 17 noisy clips, one of which cannot be read."""
    table = pd.read_csv(toy.folder / "train_noisy.csv")
    pd.concat([table, pd.DataFrame({"fname": ["missing.wav"]})]).to_csv(tmp_path / "table.csv", index=False)

    def make(output: str, *extra: str) -> list[str]:
        return [
            *(f"--experiment={experiment}", f"--output_df={tmp_path / output}", "--device=cpu"),
            *(f"--test_df={tmp_path / 'table.csv'}", f"--test_data_dir={toy.folder / 'train_noisy'}"),
            *(f"--classmap={toy.classmap}", "--num_workers=0", "--batch_size=1", *extra),
        ]

    return make


def test_torchrun_predicts_what_one_process_predicts(zygote, prediction_flags, tmp_path):
    assert zygote.run(prediction_flags("one.csv"), script="predict_2d_cnn") == 3, zygote.output()
    run = torchrun("predict_2d_cnn.py", *prediction_flags("two.csv"))
    output, _ = run.communicate(timeout=120)
    assert run.returncode == 0, output
    for end in ("", ".bad_clips.csv"):
        assert (tmp_path / f"two.csv{end}").read_bytes() == (tmp_path / f"one.csv{end}").read_bytes()
    assert (
        output.count("17 clips, 1 networks") == 1 and output.count("could not be read; their rows hold") == 1
    )
    assert not list(tmp_path.glob("*.shards"))


@pytest.mark.parametrize("n_processes", [1, 2])
def test_killed_prediction_does_not_repeat_finished_shards(zygote, prediction_flags, tmp_path, n_processes):
    assert zygote.run(prediction_flags("whole.csv"), script="predict_2d_cnn") == 3
    pids = zygote.start_ranks(prediction_flags("out.csv"), script="predict_2d_cnn", kill_at_write=4)
    statuses = [zygote.wait(pid) for pid in pids]
    assert -signal.SIGKILL in statuses and 0 not in statuses
    shards = sorted(tmp_path.glob("out.csv.shards/shard_*.npz"))
    assert shards and not (tmp_path / "out.csv").exists()
    # A finished shard is taken as it is: what a test writes into it comes out.
    content = dict(np.load(shards[0]))
    content["logits"] = np.zeros_like(content["logits"])
    np.savez(shards[0], **content)
    again = prediction_flags("out.csv")
    run, done = (zygote.run, 3) if n_processes == 1 else (zygote.run_ranks, [0, 0])
    assert run(again, script="predict_2d_cnn") == done, zygote.output()
    assert f"{len(shards)} of " in zygote.output() and "shards were done before" in zygote.output()
    found, expected = (pd.read_csv(tmp_path / name) for name in ("out.csv", "whole.csv"))
    classes = [name for name in found.columns if name != "fname"]
    changed = (found[classes] == 0.5).all(axis=1)
    good = ~changed & (found["fname"] != "missing.wav")
    assert list(found["fname"]) == list(expected["fname"])
    assert changed.sum() == len(content["rows"]) > 0
    pd.testing.assert_frame_equal(found[good], expected[good])
    assert not list(tmp_path.glob("*.shards"))


def test_shards_of_another_prediction_are_refused(zygote, prediction_flags, tmp_path):
    folder = shards.shards_folder(tmp_path / "out.csv")
    folder.mkdir()
    (folder / "plan.json").write_text('{"clips": "others"}\n')
    assert zygote.run_ranks(prediction_flags("out.csv"), script="predict_2d_cnn") == [1, 1]
    assert zygote.output().count("holds shards of a prediction of other clips, networks or flags") == 1
    (folder / "plan.json").rename(folder / "thesis.txt")
    assert zygote.run_ranks(prediction_flags("out.csv"), script="predict_2d_cnn") == [1, 1]
    assert zygote.output().count("expected shards of a prediction, found something else") == 1
    assert (folder / "thesis.txt").exists()


def test_the_same_names_in_another_folder_are_other_clips(toy, zygote, prediction_flags, tmp_path):
    """As denoised copies: their scores are not those of the clips that were scored before."""
    flags = prediction_flags("out.csv")
    pids = zygote.start_ranks(flags, script="predict_2d_cnn", kill_at_write=4)
    assert -signal.SIGKILL in [zygote.wait(pid) for pid in pids]
    assert list(tmp_path.glob("out.csv.shards/shard_*.npz"))
    copies = tmp_path / "copies"
    shutil.copytree(toy.folder / "train_noisy", copies)
    elsewhere = [flag for flag in flags if not flag.startswith("--test_data_dir")]
    assert zygote.run([*elsewhere, f"--test_data_dir={copies}"], script="predict_2d_cnn") == 1
    assert "holds shards of a prediction of other clips, networks or flags" in zygote.output()
    assert zygote.run(flags, script="predict_2d_cnn") == 3, zygote.output()


def test_a_second_prediction_of_the_same_processes_hands_out_its_own_shards(tmp_path):
    clips = []
    for row in range(5):
        path = tmp_path / f"{row}.wav"
        soundfile.write(path, np.full(100 + row, 0.1 * row), 44100, subtype="FLOAT")
        clips.append(Clip(path.name, path, 100 + row))
    cpu = torch.device("cpu")

    def work(rank):
        with processes.joined(cpu):
            scorer = shards.ShardedScorer([TinyModel()], ["tiny.pth"], 2, Runtime(device=cpu, num_workers=0))
            return [scorer.score(clips, 1, tmp_path / f"{name}.csv") for name in ("first", "second")]

    (first, second), others = on_two_ranks(work)
    assert others == [None, None]
    np.testing.assert_array_equal(first[0], second[0])
    assert np.isfinite(first[0]).all() and first[0].shape == (1, 5, 2)


@pytest.mark.parametrize("number", range(1, 7))
def test_killed_at_any_write_no_mean_is_left_that_could_pass_for_a_prediction(
    zygote, prediction_flags, tmp_path, number
):
    """The list of clips that cannot be read is there before the table whose rows of theirs are means."""
    flags = prediction_flags("out.csv")
    assert zygote.wait(zygote.start(flags, script="predict_2d_cnn", kill_at_write=number)) == -signal.SIGKILL
    is_listed = (tmp_path / "out.csv.bad_clips.csv").exists()
    assert is_listed or not (tmp_path / "out.csv").exists()
