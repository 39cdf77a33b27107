"""predict_2d_cnn.py: predictions depend on the clip and the networks alone; bad clips and tables."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

import predict_2d_cnn
import train_2d_cnn
import train_hierarchical_cnn
from command_lines import usage_error
from ops.errors import DataError
from toy_data import CLASSES


@pytest.fixture(scope="module")
def experiments(toy, tmp_path_factory):
    """Two experiments of two folds each: 2D on log-mel, 1D on log-STFT."""
    folder = tmp_path_factory.mktemp("experiments")
    flags = ["--aggregation_type=max", "--optimizer=adam", "--n_folds=2", "--folds", "0", "1", "--epochs=1"]
    flags += ["--num_conv_blocks=2", "--conv_base_depth=4", "--start_deep_supervision_on=0", "--device=cpu"]
    flags += [f"--train_df={toy.folder / 'train_curated.csv'}", f"--experiments_dir={folder}"]
    flags += [f"--train_data_dir={toy.folder / 'train_curated'}", f"--classmap={toy.classmap}"]
    flags += ["--num_workers=0", "--batch_size=8"]
    train_2d_cnn.main([*flags, "--features=mel_512_512_16"])
    train_hierarchical_cnn.main([*flags, "--features=stft_256_128"])
    return sorted(folder.iterdir())


@pytest.fixture
def predicted(toy, tmp_path):
    """predicted(experiments, table, flags...) -> scores by fname."""

    def predict(experiments, *flags, table=None) -> pd.DataFrame:
        output = tmp_path / "predictions.csv"
        code = predict_2d_cnn.main(
            ["--experiment", *map(str, experiments), f"--output_df={output}", "--device=cpu"]
            + [f"--test_df={table or toy.folder / 'train_noisy.csv'}", f"--classmap={toy.classmap}"]
            + [f"--test_data_dir={toy.folder / 'train_noisy'}", "--num_workers=0", *flags]
        )
        assert code == 0
        return pd.read_csv(output).set_index("fname")

    return predict


def test_neither_batch_size_nor_order_changes_a_prediction(experiments, predicted, toy, tmp_path):
    expected = predicted(experiments[:1])
    pd.testing.assert_frame_equal(predicted(experiments[:1], "--batch_size=1"), expected, rtol=0, atol=1e-5)
    table = tmp_path / "shuffled.csv"
    shuffled = pd.read_csv(toy.folder / "train_noisy.csv").sample(frac=0.7, random_state=1)
    shuffled.to_csv(table, index=False)
    found = predicted(experiments[:1], "--batch_size=2", table=table)
    assert list(found.index) == list(shuffled["fname"])
    pd.testing.assert_frame_equal(found, expected.loc[found.index], rtol=0, atol=1e-5)


def test_several_experiments_are_averaged_whatever_their_front_ends(experiments, predicted):
    both = predicted(experiments)
    mean = (predicted(experiments[:1]) + predicted(experiments[1:])) / 2
    pd.testing.assert_frame_equal(both, mean, rtol=0, atol=1e-6)


def test_mixed_precision_changes_little(experiments, predicted):
    exact, fast = predicted(experiments), predicted(experiments, "--amp")
    assert not exact.equals(fast)
    np.testing.assert_allclose(fast, exact, atol=0.02)


def test_compiling_without_a_compiler_is_a_usage_error(experiments, predicted, monkeypatch, capsys):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(SystemExit) as stopped:
        predicted(experiments, "--compile")
    assert stopped.value.code == 2 and "C++ compiler" in capsys.readouterr().err


def test_missing_flags_are_named(capsys):
    assert "--test_df" in usage_error(capsys, predict_2d_cnn.parse_args, ["--experiment=a"])


@pytest.fixture
def experiment(training_flags, only_experiment):
    train_2d_cnn.main(training_flags("--folds", "0", epochs=1))
    return only_experiment()


def predict_flags(toy, experiment, tmp_path, **changed) -> list[str]:
    values = {
        "experiment": experiment,
        "test_df": toy.folder / "sample_submission.csv",
        "test_data_dir": toy.folder / "test",
        "classmap": toy.classmap,
        "output_df": tmp_path / "out.csv",
        "num_workers": 0,
        "device": "cpu",
        **changed,
    }
    return [f"--{key}={value}" for key, value in values.items()]


def test_prediction_survives_bad_clips(toy, experiment, tmp_path, capsys):
    folder = tmp_path / "clips"
    shutil.copytree(toy.folder / "test", folder)
    (folder / "test_0000.wav").unlink()
    values = np.full(44100, np.inf, dtype=np.float32)
    soundfile.write(folder / "test_0005.wav", values, 44100, subtype="FLOAT")
    code = predict_2d_cnn.main(predict_flags(toy, experiment, tmp_path, test_data_dir=folder))
    assert code == 3
    table = pd.read_csv(tmp_path / "out.csv").set_index("fname")
    assert len(table) == 8
    others = table.drop(["test_0000.wav", "test_0005.wav"])
    for fname in ("test_0000.wav", "test_0005.wav"):
        np.testing.assert_allclose(table.loc[fname], others.mean())
    bad = pd.read_csv(tmp_path / "out.csv.bad_clips.csv")
    assert list(bad["fname"]) == ["test_0000.wav", "test_0005.wav"]
    assert "test_0005.wav" in capsys.readouterr().err


def test_prediction_with_another_class_map_is_refused(toy, experiment, tmp_path):
    other = tmp_path / "other.json"
    other.write_text('{"A": 0, "B": 1}')
    with pytest.raises(DataError, match="it has 2 classes, the experiment 8, 'A' not among them; give"):
        predict_2d_cnn.main(predict_flags(toy, experiment, tmp_path, classmap=other))
    classes = list(json.loads(toy.classmap.read_text()))
    other.write_text(json.dumps({name: row for row, name in enumerate(reversed(classes))}))
    with pytest.raises(DataError, match="it has the same classes in another order; give"):
        predict_2d_cnn.main(predict_flags(toy, experiment, tmp_path, classmap=other))
    assert not (tmp_path / "out.csv").exists()


def test_prediction_refuses_files_outside_the_folder(toy, experiment, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("fname\ntest_0000.wav\n../train_curated/curated_0000.wav\n")
    with pytest.raises(DataError, match="leads out of its folder"):
        predict_2d_cnn.main(predict_flags(toy, experiment, tmp_path, test_df=table))


@pytest.mark.gpu
def test_gpu_and_cpu_predict_the_same(toy, experiment, tmp_path):
    tables = []
    for device in ("cpu", "cuda"):
        output = tmp_path / f"{device}.csv"
        predict_2d_cnn.main(predict_flags(toy, experiment, tmp_path, device=device, output_df=output))
        tables.append(pd.read_csv(output)[CLASSES].to_numpy())
    assert torch.cuda.is_available()
    np.testing.assert_allclose(tables[0], tables[1], atol=2e-3)  # convolutions there run in TF32


def test_experiments_of_other_class_orders_are_told_what_brings_them_together(
    toy, training_flags, tmp_path, capsys
):
    reversed_map = tmp_path / "reversed.json"
    classes = list(json.loads(toy.classmap.read_text()))
    reversed_map.write_text(json.dumps({name: i for i, name in enumerate(reversed(classes))}))
    for classmap in (toy.classmap, reversed_map):
        train_2d_cnn.main(training_flags("--folds", "0", epochs=1, classmap=classmap))
    both = sorted(map(str, (tmp_path / "experiments").iterdir()))
    flags = ["--experiment", *both, "--inputs", str(toy.folder / "test"), "--top_k=2", "--device=cpu"]
    with pytest.raises(DataError, match=f"{both[1]}: expected the classes of {both[0]} .* blend_predictions"):
        predict_2d_cnn.main(flags)
