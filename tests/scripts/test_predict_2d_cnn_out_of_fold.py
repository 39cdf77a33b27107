"""predict_2d_cnn.py --out_of_fold: what each fold saw is recorded, and a clip is scored by the others."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

import predict_2d_cnn
import train_2d_cnn
from ops.errors import DataError
from ops.folds import plain_folds
from toy_data import CLASSES


@pytest.fixture
def train(toy, training_flags, tmp_path):
    """train(flags...) -> the experiment's directory; on the toy's noisy clips unless told otherwise."""

    def run(*extra: str, noisy: bool = True, **changed):
        tables = {
            "noisy_train_df": toy.folder / "train_noisy.csv",
            "noisy_train_data_dir": toy.folder / "train_noisy",
        }
        before = set((tmp_path / "experiments").glob("*"))
        train_2d_cnn.main(training_flags(*extra, **{**(tables if noisy else {}), "epochs": 1, **changed}))
        (found,) = set((tmp_path / "experiments").glob("*")) - before
        return found

    return run


@pytest.fixture
def predict(toy, tmp_path):
    """predict(experiments, flags...) -> scores of the noisy clips by fname."""

    def run(*experiments, out_of_fold: bool = True):
        output = tmp_path / "out.csv"
        predict_2d_cnn.main(
            ["--experiment", *map(str, experiments), f"--test_df={toy.folder / 'train_noisy.csv'}"]
            + [f"--test_data_dir={toy.folder / 'train_noisy'}", f"--classmap={toy.classmap}"]
            + [f"--output_df={output}", "--num_workers=0", "--device=cpu"]
            + (["--out_of_fold"] if out_of_fold else [])
        )
        return pd.read_csv(output).set_index("fname")[CLASSES]

    return run


def only_fold(experiment, fold: int, copy):
    """A copy of an experiment in which one fold alone counts as finished."""
    shutil.copytree(experiment, copy)
    results = json.loads((copy / "results.json").read_text())
    (copy / "results.json").write_text(json.dumps({f"fold{fold}": results[f"fold{fold}"]}))
    return copy


def test_each_clip_is_scored_by_the_folds_that_did_not_see_it(toy, train, predict, tmp_path, capsys):
    experiment = train()
    fnames = pd.read_csv(toy.folder / "train_noisy.csv")["fname"].to_numpy()
    recorded = pd.read_csv(experiment / "noisy_folds.csv", dtype=str).set_index("fname")["folds"]
    for fold, (_, share) in enumerate(plain_folds(16, 2, 42)):
        assert set(recorded[fnames[share]]) == {str(fold)}
    found, whole = predict(experiment), predict(experiment, out_of_fold=False)
    alone = [predict(only_fold(experiment, k, tmp_path / str(k)), out_of_fold=False) for k in (0, 1)]
    for fname in fnames:
        expected = alone[1 - int(recorded[fname])].loc[fname]
        np.testing.assert_allclose(found.loc[fname], expected, atol=1e-6)
    np.testing.assert_allclose(whole, (alone[0] + alone[1]) / 2, atol=1e-6)
    assert "note:" not in capsys.readouterr().out


def test_cross_fitted_folds_train_on_all_clips_but_those_that_they_score(toy, train, predict, tmp_path):
    experiment = train("--cross_fit_noisy", "--folds", "0", "1", "2", n_folds=3)
    fnames = pd.read_csv(toy.folder / "train_noisy.csv")["fname"].to_numpy()
    recorded = pd.read_csv(experiment / "noisy_folds.csv", dtype=str).set_index("fname")["folds"]
    found = predict(experiment)
    for fold, (_, share) in enumerate(plain_folds(16, 3, 42)):
        others = ",".join(str(other) for other in range(3) if other != fold)
        assert set(recorded[fnames[share]]) == {others}
        alone = predict(only_fold(experiment, fold, tmp_path / str(fold)), out_of_fold=False)
        np.testing.assert_allclose(found.loc[fnames[share]], alone.loc[fnames[share]], atol=1e-6)


def test_clips_that_were_not_kept_are_scored_by_all(toy, train, predict, tmp_path):
    kept = tmp_path / "kept.csv"
    pd.read_csv(toy.folder / "train_noisy.csv").iloc[3:9].to_csv(kept, index=False)
    experiment = train(noisy_train_df=kept)
    found, whole = predict(experiment), predict(experiment, out_of_fold=False)
    same = np.isclose(found, whole, atol=1e-9).all(axis=1)
    assert set(found.index[~same]) == set(pd.read_csv(kept)["fname"])


def test_curated_clips_are_scored_by_the_fold_that_validated_them(toy, train, tmp_path, capsys):
    experiment = train()

    def predicted(experiment, folder) -> pd.DataFrame:
        output = tmp_path / "curated.csv"
        predict_2d_cnn.main(
            [f"--experiment={experiment}", f"--test_df={toy.folder / 'train_curated.csv'}", "--out_of_fold"]
            + [f"--test_data_dir={folder}", f"--classmap={toy.classmap}"]
            + [f"--output_df={output}", "--num_workers=0", "--device=cpu"]
        )
        return pd.read_csv(output).set_index("fname")[CLASSES]

    own = toy.folder / "train_curated"
    found = predicted(experiment, own)
    validated = [pd.read_csv(experiment / f"predictions/val_preds_fold_{fold}.csv") for fold in (0, 1)]
    expected = pd.concat(validated).set_index("fname")[CLASSES]
    np.testing.assert_allclose(found, expected.loc[found.index], atol=1e-5)
    assert "note:" not in capsys.readouterr().out
    # In a copy of the folder they are the same clips.
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(own, elsewhere)
    pd.testing.assert_frame_equal(predicted(experiment, elsewhere), found)
    # Other sounds of the same names are other clips: all folds score them.
    for path in elsewhere.iterdir():
        samples, rate = soundfile.read(path)
        soundfile.write(path, samples[::-1], rate)
    assert not np.isclose(predicted(experiment, elsewhere), found, atol=1e-4).all(axis=1).any()
    # A fold alone trained on half of them, and there is no other.
    capsys.readouterr()
    predicted(only_fold(experiment, 0, tmp_path / "0"), own)
    assert "did not train on 12 of the 24 clips" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        predict_2d_cnn.main(
            [f"--experiment={experiment}", f"--inputs={own}", "--out_of_fold", "--output_df=x.csv"]
        )


def test_clips_that_every_fold_saw_are_told(train, predict, capsys):
    experiment = train("--share_noisy")
    found, whole = predict(experiment), predict(experiment, out_of_fold=False)
    pd.testing.assert_frame_equal(found, whole)
    note = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note:")]
    assert len(note) == 1 and "16 of the 16 clips" in note[0] and "scored by all" in note[0]


def test_another_experiment_stands_in_where_every_fold_saw_a_clip(train, predict, capsys):
    """Its curated-only twin saw none of them: it scores them alone."""
    shared, curated = train("--share_noisy"), train(noisy=False)
    assert not (curated / "noisy_folds.csv").exists()
    pd.testing.assert_frame_equal(predict(shared, curated), predict(curated), atol=1e-9)
    assert "note:" not in capsys.readouterr().out


def test_experiments_from_before_the_record_are_refused(train, predict):
    experiment = train()
    (experiment / "noisy_folds.csv").unlink()
    with pytest.raises(DataError, match="noisy_folds.csv.*leave out --out_of_fold"):
        predict(experiment)
