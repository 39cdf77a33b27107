"""A network whose scores are not finite ends prediction, naming its checkpoint, and writes nothing."""

import os

import pytest
import soundfile
import torch

import export_model
import predict_2d_cnn
import train_2d_cnn
from ops.errors import DataError
from real_processes import on_two_ranks
from tiny_models import TinyModel
from toolkit.clips.loading import Clip
from toolkit.prediction.shards import ShardedScorer, shards_folder
from toolkit.runs.checkpoints import load_checkpoint, save_checkpoint
from toolkit.system import processes
from toolkit.system.runtime import Runtime

VALUES = [float("nan"), float("inf"), -float("inf")]


def damage(checkpoint, value: float) -> None:
    """Sets the last layer's biases."""
    content = load_checkpoint(checkpoint)
    list(content["model"].values())[-1].fill_(value)
    save_checkpoint(checkpoint, content)


@pytest.mark.parametrize("value", VALUES)
def test_prediction_and_export_name_the_checkpoint(finished_experiment, toy, tmp_path, value):
    checkpoint = finished_experiment / "checkpoints/fold_1/best_model.pth"
    damage(checkpoint, value)
    before = set(os.listdir(tmp_path))
    flags = [f"--experiment={finished_experiment}", "--device=cpu", "--num_workers=0"]
    table = [f"--test_df={toy.folder / 'train_noisy.csv'}", f"--test_data_dir={toy.folder / 'train_noisy'}"]
    table += [f"--classmap={toy.classmap}", f"--output_df={tmp_path / 'out.csv'}"]
    sounds = ["--inputs", str(toy.folder / "test"), "--top_k=2"]
    for given in (table, [*table, "--out_of_fold"], sounds):
        with pytest.raises(DataError, match="expected finite scores .* its training diverged") as raised:
            predict_2d_cnn.main([*flags, *given])
        assert str(raised.value).startswith(f"{checkpoint}: ") and "\n" not in str(raised.value)
    with pytest.raises(DataError, match="expected finite scores") as raised:
        export_model.main([flags[0], f"--output={tmp_path / 'tagger.onnx'}"])
    assert str(raised.value).startswith(f"{checkpoint}: ")
    assert set(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("value", VALUES[:2])
def test_a_fold_that_predicts_with_it_records_nothing(finished_experiment, training_flags, value):
    checkpoint = finished_experiment / "checkpoints/fold_0/best_model.pth"
    predictions = finished_experiment / "predictions/val_preds_fold_0.csv"
    predictions.unlink()
    damage(checkpoint, value)
    results = (finished_experiment / "results.json").read_text()
    with pytest.raises(DataError, match="expected finite scores") as raised:
        train_2d_cnn.main(training_flags("--resume", epochs=1))
    assert str(raised.value).startswith(f"{checkpoint}: ")
    assert not predictions.exists() and (finished_experiment / "results.json").read_text() == results


def test_no_shard_of_it_is_kept(tmp_path):
    clips = []
    for row in range(4):
        path = tmp_path / f"{row}.wav"
        soundfile.write(path, [0.1 * row] * 100, 44100, subtype="FLOAT")
        clips.append(Clip(path.name, path, 100))
    cpu, output = torch.device("cpu"), tmp_path / "out.csv"

    def work(rank):
        model = TinyModel()
        model.linear.bias.data.fill_(torch.nan)
        try:
            with processes.joined(cpu):
                scorer = ShardedScorer([model], ["e/fold_3.pth"], 2, Runtime(device=cpu, num_workers=0))
                scorer.score(clips, 1, output)
        except DataError as error:
            return str(error)

    for message in on_two_ranks(work):
        assert message.startswith("e/fold_3.pth: expected finite scores")
    assert not list(shards_folder(output).glob("shard_*"))
