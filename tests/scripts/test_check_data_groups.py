"""check_data.py and training on clips that belong together: the same sound, groups, given folds."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

import check_data
import create_class_map
import train_2d_cnn
from ops.errors import DataError


@pytest.fixture
def tables(tmp_path):
    """write(...) -> flags of both scripts, for eight curated, four noisy and two test clips."""
    for folder in ("curated", "noisy", "test"):
        (tmp_path / folder).mkdir()
    number = iter(range(100))

    def clips(folder: str, names: str) -> list[str]:
        for name in names:
            rng = np.random.default_rng(next(number))
            soundfile.write(tmp_path / folder / f"{name}.wav", rng.uniform(-0.5, 0.5, 9000), 44100)
        return [f"{name}.wav" for name in names]

    curated, noisy, test = clips("curated", "abcdefgh"), clips("noisy", "mnop"), clips("test", "xy")

    def write(changes: dict[str, dict] | None = None) -> list[str]:
        frames = {
            "curated": pd.DataFrame({"fname": curated, "labels": ["Bark", "Run"] * 4}),
            "noisy": pd.DataFrame({"fname": noisy, "labels": ["Bark", "Run"] * 2}),
            "test": pd.DataFrame({"fname": test}),
        }
        for name, columns in (changes or {}).items():
            frames[name] = frames[name].assign(**columns)
        for name, frame in frames.items():
            frame.to_csv(tmp_path / f"{name}.csv", index=False)
        classmap = tmp_path / "classmap.json"
        create_class_map.main([f"--train_df={tmp_path / 'curated.csv'}", f"--output_file={classmap}"])
        pairs = {"train": "curated", "noisy_train": "noisy", "test": "test"}
        flags = [f"--{flag}_data_dir={tmp_path / name}" for flag, name in pairs.items()]
        flags += [f"--{flag}_df={tmp_path / name}.csv" for flag, name in list(pairs.items())[:2]]
        return [
            *flags,
            f"--sample_submission={tmp_path / 'test.csv'}",
            f"--classmap={classmap}",
            "--n_folds=2",
        ]

    return write


TRAINING = "--features=mel_512_512_16 --aggregation_type=max --optimizer=adam --epochs=1 --num_conv_blocks=1"
TRAINING += " --start_deep_supervision_on=0 --conv_base_depth=2 --num_workers=0 --device=cpu --folds 0 1"


def train(flags: list[str], tmp_path, *extra: str):
    """The experiment's directory."""
    train_2d_cnn.main([*flags, *TRAINING.split(), f"--experiments_dir={tmp_path / 'experiments'}", *extra])
    return next((tmp_path / "experiments").iterdir())


def test_the_same_sound_under_several_names_is_told_and_lies_in_one_fold(tables, tmp_path, capsys):
    folder = tmp_path / "curated"
    shutil.copy(folder / "a.wav", folder / "b.wav")  # other labels
    shutil.copy(folder / "c.wav", folder / "e.wav")
    samples, rate = soundfile.read(folder / "g.wav", dtype="int16")
    soundfile.write(tmp_path / "noisy/m.wav", samples, rate, format="FLAC")
    (tmp_path / "test/x.wav").unlink()
    (tmp_path / "test/x.wav").symlink_to("../curated/h.wav")
    flags = tables()
    assert check_data.main(flags) == 1  # x.wav leads out of its folder
    (tmp_path / "test/x.wav").unlink()
    shutil.copy(folder / "h.wav", tmp_path / "test/x.wav")
    capsys.readouterr()
    assert check_data.main(flags) == 0
    out = capsys.readouterr().out
    assert "1 x same audio with other labels" in out and "b.wav (as 'a.wav' of" in out
    assert "2 x same audio under several names" in out and "m.wav (as 'g.wav' of" in out
    assert "1 x same audio in training and test" in out

    experiment = train(flags, tmp_path)
    out = capsys.readouterr().out
    for kind in ("with other labels", "under several names", "in training and test"):
        assert f"warning: 1 x same audio {kind}" in out or f"warning: 2 x same audio {kind}" in out
    folds = pd.read_csv(experiment / "validation_folds.csv").set_index("fname")["fold"]
    assert folds["a.wav"] == folds["b.wav"] and folds["c.wav"] == folds["e.wav"]
    noisy = pd.read_csv(experiment / "noisy_folds.csv", dtype=str).set_index("fname")["folds"]
    assert noisy["m.wav"] == str(1 - folds["g.wav"])


def test_a_group_lies_in_one_fold_over_both_tables_and_is_told_where_test_clips_share_it(
    tables, tmp_path, capsys
):
    groups = ["r1", "r1", "r1", "r2", "r2", "r2", "", ""]
    flags = tables(
        {
            "curated": {"uploader": groups},
            "noisy": {"uploader": ["r1", "r2", "", ""]},
            "test": {"uploader": ["r2", "new"]},
        }
    )
    assert check_data.main([*flags, "--group_column=uploader"]) == 0
    out = capsys.readouterr().out
    assert "1 x group in training and test" in out and "'r2'" in out
    experiment = train(flags, tmp_path, "--group_column=uploader", "--share_noisy")
    folds = pd.read_csv(experiment / "validation_folds.csv", keep_default_na=False)
    assert all(len(set(part["fold"])) == 1 for name, part in folds.groupby("group") if name)
    of_group = folds.set_index("group")["fold"]
    noisy = pd.read_csv(experiment / "noisy_folds.csv", dtype=str).set_index("fname")["folds"]
    assert noisy["m.wav"] == str(1 - of_group["r1"].iloc[0]) and noisy["o.wav"] == "0,1"
    assert json.loads((experiment / "config.json").read_text())["data"]["group_column"] == "uploader"


def test_it_is_told_where_the_noisy_table_has_no_such_column(tables, tmp_path, capsys):
    flags = tables({"curated": {"uploader": ["r1", "r1", "r1", "r2", "r2", "r2", "", ""]}})
    train(flags, tmp_path, "--group_column=uploader")
    told = "noisy.csv: no column 'uploader', its clips belong to no group"
    assert "".join(capsys.readouterr()).count(told) == 1
    assert check_data.main([*flags, "--group_column=uploader"]) == 0
    assert "1 x group column missing" in capsys.readouterr().out


def test_whole_numbers_that_pandas_wrote_as_floats_are_the_same_groups(tables, tmp_path):
    """As it does where one cell of the column is empty."""
    flags = tables(
        {
            "curated": {"group": ["7.0", "7.0", "7.0", "8.0", "8.0", "8.0", "", ""]},
            "noisy": {"group": ["7", "8", "7.5", ""]},
        }
    )
    experiment = train(flags, tmp_path, "--share_noisy")
    folds = pd.read_csv(experiment / "validation_folds.csv", dtype=str).set_index("group")["fold"]
    noisy = pd.read_csv(experiment / "noisy_folds.csv", dtype=str).set_index("fname")["folds"]
    assert noisy["m.wav"] == str(1 - int(folds["7"].iloc[0])) and noisy["o.wav"] == "0,1"


def test_given_folds_are_taken_and_wrong_ones_told(tables, tmp_path, capsys):
    given = [0, 1, 1, 1, 0, 0, 1, 0]
    experiment = train(tables({"curated": {"fold": given}}), tmp_path)
    folds = pd.read_csv(experiment / "validation_folds.csv").set_index("fname")["fold"]
    assert folds.loc[[f"{name}.wav" for name in "abcdefgh"]].tolist() == given
    for wrong, found in (
        ([1, 2, 1, 1, 1, 2, 2, 2], "expected 0 to 1"),
        (["0", "", *"110011"], "'', expected 0 to 1"),
        (["0", "x", *"110011"], "'x', expected 0 to 1"),
    ):
        flags = tables({"curated": {"fold": wrong}})
        capsys.readouterr()
        assert check_data.main(flags) == 1 and found in capsys.readouterr().out
        with pytest.raises(DataError, match="wrong fold"):
            train(flags, tmp_path, "--label=wrong")
    flags = tables({"curated": {"fold": given, "group": ["g", "g", *[""] * 6]}})
    with pytest.raises(DataError, match="fold 1, others of its group 'g' in fold 0"):
        train(flags, tmp_path, "--label=wrong")
    flags = tables({"curated": {"fold": [""] * 8}})  # none is given
    assert check_data.main(flags) == 0


@pytest.mark.parametrize("flag", ["--group_column", "--fold_column"])
def test_a_named_column_must_be_there(tables, tmp_path, flag, capsys):
    flags = tables()
    assert check_data.main([*flags, f"{flag}=uploader"]) == 1
    with pytest.raises(DataError, match="curated.csv: expected a column 'uploader'"):
        train(flags, tmp_path, f"{flag}=uploader")


def test_sound_that_changes_between_two_sessions_is_noticed(tables, tmp_path):
    flags = tables()
    train(flags, tmp_path)
    for folder, name, what in (("curated", "c", "curated"), ("noisy", "n", "noisy"), ("test", "y", "test")):
        path = tmp_path / folder / f"{name}.wav"
        content = path.read_bytes()
        soundfile.write(path, np.random.default_rng(99).uniform(-0.5, 0.5, 9000), 44100)
        with pytest.raises(DataError, match=f"the sound of the {what} clips has changed since"):
            train(flags, tmp_path, "--resume")
        path.write_bytes(content)
    train(flags, tmp_path, "--resume")
