"""Predictions depend on the clip and the networks alone: not on batches, order or company."""

import numpy as np
import pandas as pd
import pytest

import predict_2d_cnn
import train_2d_cnn
import train_hierarchical_cnn


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
