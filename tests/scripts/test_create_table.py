"""From folders to tables that training and scoring read."""

import json

import pandas as pd
import pytest
import soundfile

import check_data
import create_table
from ops.errors import DataError
from sounds import tone


@pytest.fixture
def recordings(tmp_path):
    """A folder of 2 classes, each of 6 clips of 3 dogs."""
    folder = tmp_path / "recordings"
    for row in range(12):
        path = folder / ("Bark" if row < 6 else "Whine, long") / f"rex{row % 3}_{row}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone(44100, 0.1, 200 + 50 * row), 44100)
    return folder


def test_tables_that_the_others_read(recordings, tmp_path, capsys):
    tables = tmp_path / "tables"
    flags = ["--data_dir", str(recordings), "--output_dir", str(tables), "--test_size", "0.33"]
    create_table.main([*flags, "--group_regex", "/([^/_]+)_"])
    assert json.loads((tables / "classmap.json").read_text()) == {"Bark": 0, "Whine, long": 1}
    train, truth = (pd.read_csv(tables / name) for name in ("train.csv", "test_truth.csv"))
    assert list(train) == list(truth) == ["fname", "labels", "group"]
    assert train["group"].nunique() == 2 and truth["group"].nunique() == 1 and len(truth) == 4
    submission = pd.read_csv(tables / "sample_submission.csv")
    assert list(submission) == ["fname", "Bark", "Whine, long"]
    assert submission["fname"].tolist() == truth["fname"].tolist() and (submission.iloc[:, 1:] == 0).all(
        axis=None
    )
    assert f"{tables / 'train.csv'}: 8 clips, 2 classes, 2 groups" in capsys.readouterr().out
    code = check_data.main(
        [
            *("--train_df", str(tables / "train.csv"), "--train_data_dir", str(recordings), "--n_folds", "2"),
            *("--test_df", str(tables / "sample_submission.csv"), "--test_data_dir", str(recordings)),
            *("--classmap", str(tables / "classmap.json")),
        ]
    )
    assert code == 0

    with pytest.raises(DataError, match=r"train\.csv: exists already; .*--overwrite"):
        create_table.main(flags)
    create_table.main([*flags, "--overwrite"])
    assert "group" not in pd.read_csv(tables / "train.csv")


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--group_regex", "("], "expected a regular expression, got '('"),
        (["--group_regex", "a", "--group_folders"], "not allowed with"),
        (["--test_size", "1"], "less than 1"),
        (["--class_folder", "middle"], "expected one of 'first', 'last'"),
    ],
)
def test_mistakes(flags, words, recordings, tmp_path, capsys):
    with pytest.raises(SystemExit) as raised:
        create_table.main(["--data_dir", str(recordings), "--output_dir", str(tmp_path / "t"), *flags])
    assert raised.value.code == 2 and words in capsys.readouterr().err
