"""predict_2d_cnn.py --inputs: files and folders, windows of long ones, what is printed."""

import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

import predict_2d_cnn
import train_2d_cnn
from ops.errors import DataError
from toy_data import CLASSES


@pytest.fixture(scope="module")
def experiment(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiments")
    flags = ["--aggregation_type=max", "--optimizer=adam", "--n_folds=2", "--folds", "0", "1", "--epochs=1"]
    flags += ["--num_conv_blocks=2", "--conv_base_depth=4", "--start_deep_supervision_on=0", "--device=cpu"]
    flags += [f"--train_df={toy.folder / 'train_curated.csv'}", f"--experiments_dir={folder}"]
    flags += [f"--train_data_dir={toy.folder / 'train_curated'}", f"--classmap={toy.classmap}"]
    train_2d_cnn.main([*flags, "--num_workers=0", "--batch_size=8", "--features=mel_512_512_16"])
    (directory,) = folder.iterdir()
    return directory


@pytest.fixture
def predict(experiment):
    def run(*flags) -> int:
        fixed = [f"--experiment={experiment}", "--device=cpu", "--num_workers=0"]
        return predict_2d_cnn.main([*fixed, *map(str, flags)])

    return run


def test_files_score_as_the_rows_of_a_table(toy, predict, tmp_path, capsys):
    table, files = tmp_path / "table.csv", tmp_path / "files.csv"
    assert not predict(
        *("--test_df", toy.folder / "sample_submission.csv", "--test_data_dir", toy.folder / "test"),
        *("--classmap", toy.classmap, "--output_df", table),
    )
    assert not predict("--inputs", toy.folder / "test", "--output_df", files, "--top_k", 2)
    assert files.read_bytes() == table.read_bytes()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("test_")]
    frame = pd.read_csv(files).set_index("fname")
    assert len(lines) == len(frame) == 8
    for line, (fname, row) in zip(lines, frame.iterrows(), strict=True):
        first, second = row.sort_values(ascending=False, kind="stable").iloc[:2].items()
        assert line == f"{fname}  {first[0]} {first[1]:.2f}, {second[0]} {second[1]:.2f}"


def test_a_long_recording_in_any_format_is_scored_in_windows(predict, tmp_path):
    rng = np.random.default_rng(0)
    audio = rng.uniform(-0.3, 0.3, 7 * 44100).astype(np.float32) * np.repeat(
        [1, 0.01, 0.3, 0, 1, 0, 1], 44100
    )
    soundfile.write(tmp_path / "long.wav", audio, 44100, subtype="FLOAT")
    parts = tmp_path / "parts"
    parts.mkdir()
    for number in range(4):  # windows of 1.75 s
        part = audio[77175 * number : 77175 * (number + 1)]
        soundfile.write(parts / f"{number}.wav", part, 44100, subtype="FLOAT")
    assert not predict(
        "--inputs", tmp_path / "long.wav", "--window_seconds=2", "--output_df", tmp_path / "l.csv"
    )
    assert not predict("--inputs", parts, "--output_df", tmp_path / "p.csv")
    long, of_parts = (pd.read_csv(tmp_path / name)[CLASSES] for name in ("l.csv", "p.csv"))
    np.testing.assert_allclose(long.iloc[0], of_parts.max(), atol=1e-6)

    sounds = tmp_path / "sounds"
    sounds.mkdir()
    stereo = np.repeat(np.tile(audio, 10)[:, None], 2, axis=1)  # 70 s: longer than two windows of 30 s
    soundfile.write(sounds / "stereo.flac", stereo, 48000)
    soundfile.write(sounds / "talk.mp3", stereo, 44100)
    soundfile.write(sounds / "talk.ogg", stereo[:100_000], 22050)
    assert not predict("--inputs", sounds, "--output_df", tmp_path / "s.csv")
    table = pd.read_csv(tmp_path / "s.csv")
    assert list(table["fname"]) == ["stereo.flac", "talk.mp3", "talk.ogg"]
    assert np.isfinite(table[CLASSES].to_numpy()).all()


def test_bad_files_among_good_ones(toy, predict, tmp_path, capsys):
    folder = tmp_path / "sounds"
    folder.mkdir()
    shutil.copy(toy.folder / "test" / "test_0000.wav", folder / "good.wav")
    (folder / "bad.wav").write_bytes(b"no sound")
    values = np.zeros(44100 * 7, dtype=np.float32)
    values[-5] = np.nan  # in the last window alone
    soundfile.write(folder / "nan.wav", values, 44100, subtype="FLOAT")
    assert predict("--inputs", folder, "--top_k=1", "--window_seconds=2") == 3
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].startswith("good.wav  ") and "bad.wav" in err and "nan.wav" in err
    assert list(tmp_path.iterdir()) == [folder]
    assert predict("--inputs", folder, "--window_seconds=2", "--output_df", tmp_path / "out.csv") == 3
    table = pd.read_csv(tmp_path / "out.csv").set_index("fname")
    assert table.loc["bad.wav"].equals(table.loc["good.wav"].rename("bad.wav"))
    assert sorted(pd.read_csv(tmp_path / "out.csv.bad_clips.csv")["fname"]) == ["bad.wav", "nan.wav"]
    (folder / "good.wav").unlink()
    with pytest.raises(DataError, match="none of its 2 clips can be read"):
        predict("--inputs", folder, "--top_k=1", "--window_seconds=2")


@pytest.mark.parametrize(
    "flags, expected",
    [
        ([], "--test_df, --test_data_dir, --classmap, --output_df"),
        (["--test_df=a", "--test_data_dir=b", "--output_df=c"], "required without --inputs: --classmap"),
        (["--inputs", "a", "--test_df=a", "--top_k=1"], "give these two or --inputs"),
        (["--inputs", "a", "--hop_seconds=1"], "give one"),
        (["--inputs", "a", "--timeline=t", "--hop_seconds=0"], "at least 0.01"),
        (
            ["--test_df=a", "--test_data_dir=b", "--classmap=c", "--output_df=d", "--timeline=t"],
            "--timeline, --audacity and --page are of --inputs",
        ),
        (["--inputs", "a", "--top_k=0"], "at least 1"),
        (["--inputs", "a", "--top_k=1", "--window_seconds=0"], "at least 1"),
    ],
)
def test_exactly_one_form(flags, expected, capsys):
    with pytest.raises(SystemExit) as stopped:
        predict_2d_cnn.parse_args(["--experiment=e", *flags])
    assert stopped.value.code == 2
    assert expected in capsys.readouterr().err


def test_tables_are_scored_at_full_length_unless_asked():
    table = ["--experiment=e", "--test_df=a", "--test_data_dir=b", "--classmap=c", "--output_df=d"]
    assert predict_2d_cnn.parse_args(table).window_seconds is None
    assert predict_2d_cnn.parse_args(["--experiment=e", "--inputs", "a", "--top_k=1"]).window_seconds == 30
