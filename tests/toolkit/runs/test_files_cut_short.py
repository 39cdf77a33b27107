"""Every file of an experiment or of rounds, cut at any line end or emptied, is noticed by what reads it."""

import shutil
from pathlib import Path

import pytest

import run_noisy_rounds
import train_2d_cnn
from ops.errors import DataError
from toolkit.clips.tables import read_table
from toolkit.runs.experiment import Experiment
from toolkit.runs.history import read_history
from toolkit.runs.out_of_fold import read_out_of_fold
from toolkit.runs.predictions import read_predictions, unread_clips
from toolkit.runs.records import seen_noisy_clips, unseen_by
from toolkit.system.files import check_sum, sum_path
from toy_data import CLASSES


@pytest.fixture(scope="module")
def flags(toy, tmp_path_factory):
    """Of a run with every kind of file."""
    data, folder = toy.folder, tmp_path_factory.mktemp("runs")
    (folder / "noisy.csv").write_text((data / "train_noisy.csv").read_text() + f"missing.wav,{CLASSES[0]}\n")
    return [
        *(f"--train_df={data / 'train_curated.csv'}", f"--train_data_dir={data / 'train_curated'}"),
        *(f"--noisy_train_df={folder / 'noisy.csv'}", f"--noisy_train_data_dir={data / 'train_noisy'}"),
        *(f"--sample_submission={data / 'sample_submission.csv'}", f"--test_data_dir={data / 'test'}"),
        *(f"--classmap={toy.classmap}", "--features=mel_512_512_16", "--aggregation_type=max"),
        *("--optimizer=adam", "--n_folds=2", "--epochs=3", "--num_conv_blocks=2", "--conv_base_depth=4"),
        *("--start_deep_supervision_on=0", "--device=cpu", "--num_workers=0", "--batch_size=8"),
        *("--holdout_size=0.25", "--skip_bad_clips", f"--experiments_dir={folder / 'experiments'}"),
        *("--folds", "0", "1"),
    ]


@pytest.fixture(scope="module")
def finished(flags):
    train_2d_cnn.main(flags)
    folder = next(flag for flag in flags if flag.startswith("--experiments_dir"))
    (directory,) = Path(folder.partition("=")[2]).iterdir()
    return Experiment.load(directory)


def cuts(path: Path) -> list[bytes]:
    """The content up to each line end before the last one, from none on."""
    lines = path.read_bytes().splitlines(keepends=True)
    return [b"".join(lines[:n]) for n in range(len(lines))]


READERS = {
    "predictions/val_preds_fold_1.csv": lambda e, _: read_out_of_fold(e, [0, 1], e.config.data.train_df),
    "predictions/test_preds_fold_0.csv": lambda e, path: read_predictions(path),
    "predictions/holdout_preds_fold_0.csv": lambda e, path: read_predictions(path),
    "predictions/submission.csv": lambda e, path: read_predictions(path),
    "validation_folds.csv": lambda e, path: unseen_by(e, [0, 1], ["a.wav"], [Path("a.wav")], [[]]),
    "noisy_folds.csv": lambda e, path: seen_noisy_clips(e),
    "history/fold_0.csv": lambda e, path: read_history(path),
    "skipped_clips.csv": lambda e, path: read_table(path, ["fname"]),
    "sessions.csv": lambda e, path: read_table(path, ["session"]),
    "results.json": lambda e, path: e.results(),
    "config.json": lambda e, path: Experiment.load(e.directory),
}


@pytest.mark.parametrize("name", READERS)
def test_a_file_cut_at_any_line_end_is_noticed(finished, name):
    path = finished.path(name)
    whole = path.read_bytes()
    READERS[name](finished, path)
    try:
        for cut in cuts(path):
            path.write_bytes(cut)
            with pytest.raises(DataError) as raised:
                READERS[name](finished, path)
            assert str(path) in str(raised.value) and "\n" not in str(raised.value)
    finally:
        path.write_bytes(whole)
    READERS[name](finished, path)


@pytest.mark.parametrize("name", ["clips.json", "sessions.csv", "predictions/test_preds_fold_1.csv"])
def test_a_resumed_run_notices_it(finished, flags, name):
    path = finished.path(name)
    whole, results = path.read_bytes(), finished.results()
    submission = finished.predictions("submission").read_bytes()
    for cut in (b"", cuts(path)[-1]):
        path.write_bytes(cut)
        with pytest.raises(DataError) as raised:
            train_2d_cnn.main([*flags, "--resume"])
        assert str(path) in str(raised.value) and "\n" not in str(raised.value)
        assert finished.results() == results
        assert finished.predictions("submission").read_bytes() == submission
    path.write_bytes(whole)


@pytest.mark.parametrize("part", ["val", "test"])
def test_without_a_digest_predictions_of_too_few_clips_make_no_metric(finished, flags, part):
    """As in experiments of earlier versions."""
    path, results = finished.predictions(f"{part}_preds_fold_0"), finished.results()
    whole, digest = path.read_bytes(), sum_path(path).read_bytes()
    path.write_bytes(cuts(path)[-1])
    sum_path(path).unlink()
    with pytest.raises(DataError, match="expected predictions of the . clips of this fold, found .* rows"):
        train_2d_cnn.main([*flags, "--resume"])
    assert finished.results() == results
    path.write_bytes(whole)
    train_2d_cnn.main([*flags, "--resume"])
    sum_path(path).write_bytes(digest)


@pytest.mark.parametrize("content", [b"", b"\n", b"0123\n", b"\xff" * 64])
def test_a_digest_that_is_none_is_noticed(finished, content):
    path = finished.path("validation_folds.csv")
    whole = sum_path(path).read_bytes()
    sum_path(path).write_bytes(content)
    with pytest.raises(DataError, match="expected the digest of .*validation_folds.csv"):
        READERS["validation_folds.csv"](finished, path)
    sum_path(path).write_bytes(whole)


def test_a_table_that_has_gone_leaves_no_clip_out_of_fold(finished, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(finished.directory, copy)
    (copy / "validation_folds.csv").unlink()
    with pytest.raises(DataError, match="validation_folds.csv: expected the file that was written there"):
        unseen_by(Experiment.load(copy), [0, 1], ["a.wav"], [Path("a.wav")], [[]])
    sum_path(copy / "validation_folds.csv").unlink()  # as of earlier versions
    assert unseen_by(Experiment.load(copy), [0, 1], ["a.wav"], [Path("a.wav")], [[]]).all()


def test_rounds_notice_it(rounds_flags, toy, tmp_path, capsys):
    noisy = tmp_path / "noisy.csv"
    noisy.write_text((toy.folder / "train_noisy.csv").read_text())
    argv = rounds_flags(tmp_path / "r", ["scoring_6"], noisy_train_df=noisy)
    run_noisy_rounds.main(argv)
    table, report = tmp_path / "r/tables/round_1.csv", tmp_path / "r/rounds.csv"
    for path in (table, tmp_path / "r/plan.json"):
        whole = path.read_bytes()
        for cut in (b"", cuts(path)[-1]):
            path.write_bytes(cut)
            with pytest.raises(DataError) as raised:
                run_noisy_rounds.main(argv)
            assert str(path) in str(raised.value) and "\n" not in str(raised.value)
        path.write_bytes(whole)
    whole = report.read_bytes()
    for cut in cuts(report):
        report.write_bytes(cut)
        with pytest.raises(DataError, match="rounds.csv"):
            run_noisy_rounds.main([*argv, "--dry_run"])
    capsys.readouterr()
    run_noisy_rounds.main(argv)
    assert "rounds.csv: it was changed or cut short and is written anew" in capsys.readouterr().err
    assert report.read_bytes() == whole
    check_sum(report)


def test_a_list_of_unreadable_clips_cut_short_is_noticed(zygote, toy, finished, tmp_path):
    (tmp_path / "table.csv").write_text("fname\nmissing.wav\ngone.wav\n")
    with open(tmp_path / "table.csv", "a") as table:
        table.write((toy.folder / "sample_submission.csv").read_text().splitlines()[1].split(",")[0] + "\n")
    flags = [f"--experiment={finished.directory}", f"--test_df={tmp_path / 'table.csv'}", "--num_workers=0"]
    flags += [f"--test_data_dir={toy.folder / 'test'}", f"--classmap={toy.classmap}", "--device=cpu"]
    assert zygote.run([*flags, f"--output_df={tmp_path / 'out.csv'}"], script="predict_2d_cnn") == 3
    path = tmp_path / "out.csv.bad_clips.csv"
    assert unread_clips(tmp_path / "out.csv") == ["missing.wav", "gone.wav"]
    for cut in cuts(path):
        path.write_bytes(cut)
        with pytest.raises(DataError, match="bad_clips.csv"):
            unread_clips(tmp_path / "out.csv")
