"""Prediction of files and folders: which sounds are found, windows of long ones, what is printed."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import predict_2d_cnn
import train_2d_cnn
from ops.errors import DataError
from toolkit.clips.loading import Clip
from toolkit.clips.recordings import find_sounds, in_words, join_windows, split_into_windows

CLASSES = ["Alarm", "Bell", "Birdsong", "Clicks", "Drum", "Engine", "Rain", "Siren"]


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


def touch(*paths) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_sounds_of_folders_and_files_are_found_once_and_in_order(tmp_path):
    touch(*(tmp_path / "a" / name for name in ("2.wav", "1.FLAC", "deep/3.mp3", "notes.txt", ".hidden.wav")))
    touch(tmp_path / "a" / ".git" / "4.wav", tmp_path / "b" / "odd.name")
    names, paths = find_sounds([tmp_path / "a"])
    assert names == ["1.FLAC", "2.wav", "deep/3.mp3"]
    assert paths == [tmp_path / "a" / name for name in names]
    assert find_sounds([tmp_path / "a" / "2.wav"])[0] == ["2.wav"]
    names, paths = find_sounds([tmp_path / "b" / "odd.name", tmp_path / "a", tmp_path / "a" / "2.wav"])
    assert names == ["b/odd.name", "a/1.FLAC", "a/2.wav", "a/deep/3.mp3"]


def test_a_relative_path_gives_the_same_names(tmp_path, monkeypatch):
    touch(tmp_path / "a" / "1.wav", tmp_path / "b" / "1.wav")
    monkeypatch.chdir(tmp_path / "a")
    assert find_sounds(["."])[0] == ["1.wav"]
    assert find_sounds(["1.wav", "../b"])[0] == ["a/1.wav", "b/1.wav"]


def test_names_that_are_no_utf8_can_be_written(tmp_path):
    touch(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav")))
    assert find_sounds([tmp_path])[0] == ["\\xff.wav"]


def test_a_folder_without_sounds_and_a_path_that_is_not_there(tmp_path):
    touch(tmp_path / "a" / "notes.txt", tmp_path / "my_sounds" / "1.wav")
    with pytest.raises(DataError, match=r"expected a folder with sound files \(.*\.flac"):
        find_sounds([tmp_path / "a"])
    with pytest.raises(DataError, match="expected a sound file or a folder, found none.*my_sounds'"):
        find_sounds([tmp_path / "my_sound"])


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=5), st.floats(1, 60))
def test_windows_cover_each_clip_without_overlap(lengths, seconds):
    clips = [Clip(str(index), Path(str(index)), length) for index, length in enumerate(lengths)]
    windows, owners = split_into_windows(clips, seconds)
    assert sorted(owners) == list(owners)
    for index, clip in enumerate(clips):
        own = [window for window, owner in zip(windows, owners, strict=True) if owner == index]
        if clip.n_samples <= 2 * int(seconds * 44100):
            assert own == [clip]
            continue
        assert len(own) > 2 and own[0].start == 0
        ends = [window.start + window.n_samples for window in own]
        assert [window.start for window in own[1:]] + [clip.n_samples] == ends
        sizes = [window.n_samples for window in own]
        assert max(sizes) - min(sizes) <= 1 and max(sizes) <= seconds * 44100 < 1.5 * max(sizes) + 2
    assert split_into_windows(clips, None)[0] == clips


def test_of_each_class_the_highest_window_counts():
    scores = np.array([[0.1, 0.9], [0.5, 0.2], [0.4, 0.3]])  # 3 windows, 2 classes
    assert join_windows(scores, np.array([0, 1, 1])).tolist() == [[0.1, 0.9], [0.5, 0.3]]


def test_words():
    assert in_words(np.array([0.1, 0.704, 0.7]), ["A", "B", "C"], 2) == "B 0.70, C 0.70"
    assert in_words(np.array([0.5, 0.5]), ["A", "B"], 9) == "A 0.50, B 0.50"


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
        (["--inputs", "a"], "give --output_df, --top_k or both"),
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
