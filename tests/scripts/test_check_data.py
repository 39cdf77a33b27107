"""check_data.py on a small folder with every kind of problem, and on clean data."""

import contextlib
import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile

import check_data
from checkable_data import RATE, Data, clip
from ops.errors import DataError
from toolkit.clips.foreign_files import INSTALL
from toolkit.clips.problems import DOUBTFUL_LABELS, KINDS, KNOWN_BAD, REPAIR


@pytest.fixture
def data(tmp_path):
    return Data(tmp_path)


def test_clean_data(data, capsys):
    assert data.check("--features=mel_2048_1024_128") == (0, [])
    out = capsys.readouterr().out
    assert out.splitlines() == [
        f"{data.table('curated')}: 8 clips, 0.5 s",
        f"{data.table('noisy')}: 3 clips, 0.2 s",
        f"{data.table('test')}: 3 clips, 0.2 s",
        "class  curated clips  seconds  noisy clips  seconds",
        "Bark   4              0.3      3            0.2",
        "Run    4              0.3      3            0.2",
        "Meow   4              0.3      0            0.0",
        "no problems found",
    ]


def test_every_kind_of_problem_at_once(data, capsys, without_ffmpeg):
    folder = data.folder
    # Errors.
    data.add("curated", "gone.wav", "Bark")
    data.add("test", "gone.wav", "")
    data.add("noisy", "no_bytes.wav", "Bark")
    (folder / "noisy" / "no_bytes.wav").touch()
    data.add("noisy", "no_frames.wav", "Bark", seed=300, samples=0)
    data.add("noisy", "text.wav", "Bark")
    (folder / "noisy" / "text.wav").write_text("no sound")
    data.add("test", "nan.wav", "")
    soundfile.write(folder / "test" / "nan.wav", np.array([0.5, np.nan]), RATE, subtype="FLOAT")
    data.add("noisy", "folder.wav", "Bark")
    (folder / "noisy" / "folder.wav").mkdir()
    data.add("curated", "c0.wav", "Bark")
    data.add("curated", "c0.wav", "Bark")
    data.add("test", "t1.wav", "")
    data.add("noisy", "../test/t0.wav", "Bark")
    data.add("noisy", "", "Bark")
    data.add("curated", "typo.wav", "Bakr,Bark,Moew", seed=301)
    data.add("noisy", "typo.wav", "Bakr", seed=302)
    data.add("curated", "both.wav", "Bark,?Bark,?Run", seed=314)
    data.add("test", "phone.m4a", "")
    (folder / "test" / "phone.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    data.add("noisy", "cut.wav", "Bark", seed=313)
    whole = (folder / "noisy" / "cut.wav").read_bytes()
    (folder / "noisy" / "cut.wav").write_bytes(whole[: len(whole) - 1000])
    data.add("test", "integers.wav", "")
    soundfile.write(folder / "test" / "integers.wav", np.array([0.5, -20000.0]), RATE, subtype="FLOAT")
    # Warnings.
    data.add("curated", "f76181c4.wav", "Bark", seed=311)
    data.add("noisy", "77b925c2.wav", "Bark", seed=312)  # the list is of curated clips
    data.add("curated", "silent.wav", "Bark")
    clip(folder / "curated" / "silent.wav")
    data.add("noisy", "constant.wav", "Bark")
    soundfile.write(folder / "noisy" / "constant.wav", np.full(3000, 0.25), RATE)
    data.add("test", "short.wav", "", seed=303, samples=2047)
    data.add("test", "just_long_enough.wav", "", seed=310, samples=2048)
    data.add("noisy", "joined.wav", "Bark", seed=313)
    (folder / "noisy" / "joined.wav").write_bytes((folder / "noisy" / "joined.wav").read_bytes() * 2)
    data.add("curated", "rate.wav", "Bark", seed=304, rate=48000)
    data.add("curated", "stereo.wav", "Bark", seed=305, channels=2)
    data.add("noisy", "unlabeled.wav", "", seed=306)
    (folder / "classmap.json").write_text(json.dumps({"Bark": 0, "Meow": 1, "Run": 2, "Purr": 3, "Hiss": 4}))
    data.add("curated", "hiss.wav", "Hiss,Hiss,Hiss,Hiss", seed=307)
    clip(folder / "curated" / "extra.wav", 308)
    clip(folder / "test" / "sub" / "extra.wav", 309)
    data.add("test", "leak.flac", "")
    samples, rate = soundfile.read(folder / "curated" / "c3.wav", dtype="int16")
    soundfile.write(folder / "test" / "leak.flac", samples, rate)
    data.add("test", "noisy_leak.wav", "", seed=101)  # n1.wav
    data.add("test", "no_leak.wav", "")
    clip(folder / "test" / "no_leak.wav")  # as silent as silent.wav

    code, problems = data.check("--features=stft_2048_512")
    assert code == 1
    assert sorted(problems) == sorted(
        [
            ("malformed row", "noisy", ""),
            ("duplicate fname", "curated", "c0.wav"),
            ("duplicate fname", "test", "t1.wav"),
            ("unsafe fname", "noisy", "../test/t0.wav"),
            ("unknown label", "curated", "typo.wav"),
            ("unknown label", "noisy", "typo.wav"),
            ("label with and without ?", "curated", "both.wav"),
            ("missing", "curated", "gone.wav"),
            ("missing", "test", "gone.wav"),
            ("empty", "noisy", "no_bytes.wav"),
            ("empty", "noisy", "no_frames.wav"),
            ("unreadable", "noisy", "text.wav"),
            ("unreadable", "noisy", "folder.wav"),
            ("unreadable", "test", "nan.wav"),
            ("sound that needs ffmpeg", "test", "phone.m4a"),
            ("decoded in part", "noisy", "cut.wav"),
            ("beyond full scale", "test", "integers.wav"),
            (KNOWN_BAD, "curated", "f76181c4.wav"),
            ("silent", "curated", "silent.wav"),
            ("silent", "noisy", "constant.wav"),
            ("silent", "test", "no_leak.wav"),
            ("holds more than is read", "noisy", "joined.wav"),
            ("shorter than one window", "test", "short.wav"),
            ("other sample rate", "curated", "rate.wav"),
            ("several channels", "curated", "stereo.wav"),
            ("without labels", "noisy", "unlabeled.wav"),
            ("class with fewer clips than folds", "curated", ""),
            ("class with fewer clips than folds", "curated", ""),
            ("file that is not in the table", "curated", "extra.wav"),
            ("file that is not in the table", "test", "sub/extra.wav"),
            ("same audio in training and test", "test", "leak.flac"),
            ("same audio in training and test", "test", "noisy_leak.wav"),
        ]
    )
    elsewhere = {"unusable table, class map or folder", "wrong weight", "wrong fold", *DOUBTFUL_LABELS}
    elsewhere |= {kind for kind in KINDS if kind.startswith(("same audio under", "same audio with", "group"))}
    assert {problem[0] for problem in problems} == set(KINDS) - elsewhere
    assert data.detail["c0.wav"] == "in the rows 1, 10, 11"
    assert data.detail["short.wav"] == "2047 of 2048 samples"
    assert "'n1.wav'" in data.detail["noisy_leak.wav"] and "'c3.wav'" in data.detail["leak.flac"]

    lines = capsys.readouterr().out.splitlines()
    curated, noisy, test = (data.table(role) for role in ("curated", "noisy", "test"))
    assert lines[lines.index(next(line for line in lines if line.startswith("error"))) :] == [
        f"error: 1 x malformed row: {noisy}: row 9 has an empty fname; correct these rows (put several "
        'labels in one quoted cell, "Bark,Run")',
        f"error: 2 x duplicate fname: {curated}: c0.wav; {test}: t1.wav; remove the extra rows",
        f"error: 1 x unsafe fname: {noisy}: ../test/t0.wav; keep all clips of a table inside its folder",
        f"error: 2 x unknown label: {curated}: typo.wav ('Bakr' (nearest: 'Bark'), 'Moew' (nearest: 'Meow') "
        f"not in the class map); {noisy}: typo.wav ('Bakr' (nearest: 'Bark') not in the class map); correct "
        "the table, or make the class map from it with create_class_map.py",
        f"error: 1 x label with and without ?: {curated}: both.wav ('Bark'); leave one of the two",
        f"error: 2 x missing: {curated}: gone.wav; {test}: gone.wav; {REPAIR}",
        f"error: 2 x empty: {noisy}: no_bytes.wav, no_frames.wav; {REPAIR}",
        f"error: 3 x unreadable: {noisy}: text.wav, folder.wav; {test}: nan.wav; {REPAIR}",
        f"error: 1 x sound that needs ffmpeg: {test}: phone.m4a (it is an MP4, M4A or MOV file); "
        f"{INSTALL}, or train with --skip_bad_clips",
        f"error: 1 x decoded in part: {noisy}: cut.wav (only 0.06 of 0.07 seconds can be decoded (the file "
        f"is cut off)); {REPAIR}",
        f"error: 1 x beyond full scale: {test}: integers.wav (expected float samples in [-1, 1], found "
        f"20000, as where integers are written as float; divide them by 32768 (16 bits)); {REPAIR}",
        f"warning: 1 x known to be wrong (see --drop_known_bad): {curated}: f76181c4.wav (mislabelled)",
        f"warning: 3 x silent: {curated}: silent.wav; {noisy}: constant.wav; {test}: no_leak.wav",
        f"warning: 1 x holds more than is read: {noisy}: joined.wav (6044 bytes behind its samples are "
        "not read)",
        f"warning: 1 x shorter than one window: {test}: short.wav (2047 of 2048 samples)",
        "note: 1 x other sample rate (48000 Hz: 1 clip); resampled to 44100 Hz, which is fine",
        "note: 1 x several channels (2 channels: 1 clip); mixed down to one, which is fine",
        f"warning: 1 x without labels: {noisy}: unlabeled.wav",
        f"warning: 2 x class with fewer clips than folds: {curated}: 'Purr' has 0 clips for 4 folds, "
        "'Hiss' has 1 clip for 4 folds",
        f"warning: 2 x file that is not in the table: {curated}: extra.wav; {test}: sub/extra.wav",
        f"warning: 2 x same audio in training and test: {test}: leak.flac (as 'c3.wav' of {curated}), "
        f"noisy_leak.wav (as 'n1.wav' of {noisy})",
        "17 errors, 13 warnings",
    ]


def test_weights_of_relabeled_clips_are_checked(data, capsys):
    flags = data.flags()
    table = pd.read_csv(data.table("noisy"))
    table["weight"] = ["0.5", "1.5", "heavy"]
    table.to_csv(data.table("noisy"), index=False)
    assert check_data.main(flags) == 1
    assert f"error: 2 x wrong weight: {data.table('noisy')}: n1.wav ('1.5'), n2.wav ('heavy')" in (
        capsys.readouterr().out
    )
    table["weight"] = [0, 1, 0.25]
    table.to_csv(data.table("noisy"), index=False)
    assert check_data.main(flags) == 0


def test_warnings_alone_give_exit_code_0(data):
    clip(data.folder / "curated" / "extra.wav", 300)
    data.add("noisy", "rate.wav", "Bark", seed=301, rate=22050)
    code, problems = data.check()
    assert code == 0
    assert problems == [
        ("other sample rate", "noisy", "rate.wav"),
        ("file that is not in the table", "curated", "extra.wav"),
    ]


@pytest.mark.parametrize(
    "kind, add",
    [
        ("missing", lambda data: data.add("test", "gone.wav", "")),
        ("duplicate fname", lambda data: data.add("noisy", "n0.wav", "Bark")),
        ("unknown label", lambda data: data.add("curated", "x.wav", "Quack", seed=300)),
        ("unsafe fname", lambda data: data.add("test", "/etc/passwd", "")),
        ("unsafe fname", lambda data: data.add("test", "a\0.wav", "")),
        ("unreadable", lambda data: (data.folder / "noisy" / "n0.wav").write_text("no sound")),
        ("empty", lambda data: (data.folder / "noisy" / "n0.wav").write_bytes(b"")),
    ],
)
def test_each_error_alone_gives_exit_code_1(kind, add, data):
    add(data)
    code, problems = data.check()
    assert code == 1 and kind in [problem[0] for problem in problems]


def test_ten_names_of_many(data, capsys):
    for number in range(13):
        data.add("curated", f"gone{number:02}.wav", "Bark")
    code, problems = data.check()
    assert code == 1 and len(problems) == 13
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "missing" in line]
    names = ", ".join(f"gone{number:02}.wav" for number in range(10))
    assert line == f"error: 13 x missing: {data.table('curated')}: {names}; and 3 more; {REPAIR}"


def test_unusable_tables_do_not_hide_the_rest(data, capsys):
    data.add("test", "gone.wav", "")
    flags = data.flags()
    (data.folder / "classmap.json").write_text("{")
    (data.folder / "noisy.csv").write_text('fname,labels\nn0.wav,"Bark\n')
    (data.folder / "curated.csv").write_text("fname,labels\nc0.wav,Bark,Run\nc1.wav,Bark\n")
    flags[1] = f"--train_data_dir={data.folder / 'nowhere'}"
    assert check_data.main(flags) == 1
    lines = [
        line for line in capsys.readouterr().out.splitlines() if not line.startswith(("class ", "Bark "))
    ]
    assert lines[2].startswith("error: 3 x unusable table, class map or folder: ")
    assert "no valid JSON" in lines[2] and "nowhere: expected the folder" in lines[2]
    assert "noisy.csv: expected a CSV table" in lines[2]
    assert lines[3].startswith("error: 1 x malformed row: ") and "row 1 has 3 cells" in lines[3]
    assert lines[4] == f"error: 1 x missing: {data.table('test')}: gone.wav; {REPAIR}"
    assert lines[5].startswith("warning: 1 x class with fewer clips than folds: ")
    # The clips of a table that could not be read are not called unlisted.
    assert lines[6:] == ["5 errors, 1 warning"]


def test_where_all_clips_are_missing_the_folder_is_named(data, capsys):
    """Nobody is advised to train without any clip."""
    flags = data.flags()
    flags[1] = f"--train_data_dir={data.folder / 'test'}"
    assert check_data.main([*flags[:2], *flags[6:]]) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("error")]
    assert "8 x missing" in line and line.endswith(
        f"none of its clips is there: check the folder, {data.folder / 'test'}, and the names"
    )


@pytest.mark.parametrize("content", ["", "labels\nBark\n", "fname,labels\n"])
def test_tables_without_clips(content, data, capsys):
    flags = data.flags()
    (data.folder / "noisy.csv").write_text(content)
    assert check_data.main(flags) == 1
    assert "error: 1 x unusable table" in capsys.readouterr().out


def test_several_tables_of_one_folder(data):
    """Files of one table are none that the others lack; nor are files of a folder within."""
    flags = data.flags()
    for role in ("noisy", "test"):
        for path in (data.folder / role).iterdir():
            path.rename(data.folder / "curated" / path.name)
    clip(data.folder / "curated" / "in" / "t9.wav", 300)
    clip(data.folder / "curated" / "in" / "extra.wav", 301)
    pd.DataFrame({"fname": ["t9.wav"]}).to_csv(data.table("test"), index=False)
    folder = data.folder / "curated"
    flags[3], flags[5] = f"--noisy_train_data_dir={folder}", f"--test_data_dir={folder / 'in'}"
    path = data.folder / "problems.csv"
    assert check_data.main([*flags, f"--output_csv={path}"]) == 0
    found = pd.read_csv(path)
    assert found["fname"].tolist() == ["t0.wav", "t1.wav", "t2.wav", "in/extra.wav"]
    assert set(found["kind"]) == {"file that is not in the table"}


def test_tables_beside_the_clips_are_no_unlisted_files(data):
    flags = data.flags()
    for name in ("curated.csv", "noisy.csv", "test.csv", "classmap.json"):
        (data.folder / name).rename(data.folder / "curated" / name)
    flags = [flag.replace(f"{data.folder}/{n}.csv", f"{data.folder}/curated/{n}.csv")
             for flag in flags for n in [flag.split("/")[-1].split(".")[0]]]  # fmt: skip
    flags[6] = f"--classmap={data.folder / 'curated' / 'classmap.json'}"
    (data.folder / "curated" / ".DS_Store").touch()
    path = data.folder / "problems.csv"
    assert check_data.main([*flags, f"--output_csv={path}"]) == 0
    assert pd.read_csv(path).empty


def test_names_that_no_table_can_hold(data, capsys):
    (data.folder / "curated" / os.fsdecode(b"\xff.wav")).touch()
    (data.folder / "curated" / "two\nlines.wav").touch()
    code, problems = data.check()
    assert code == 0
    assert [fname for _, _, fname in problems] == ["two\nlines.wav", r"\udcff.wav"]
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert line.endswith(r"curated.csv: 'two\nlines.wav', '\udcff.wav'")


def test_without_a_class_map_and_features(data):
    data.add("curated", "x.wav", "Quack", seed=300, samples=5)
    flags = [flag for flag in data.flags("--n_folds=2") if "classmap" not in flag]
    path = data.folder / "problems.csv"
    assert check_data.main([*flags, f"--output_csv={path}"]) == 0
    problems = pd.read_csv(path, na_filter=False)
    assert problems["detail"].tolist() == ["'Quack' has 1 clip for 2 folds"]


def test_one_table_alone_and_the_other_name_of_the_test_table(data):
    flags = data.flags()
    assert check_data.main(flags[:2]) == 0
    assert check_data.main([flags[4].replace("--test_df", "--sample_submission"), flags[5]]) == 0


@pytest.mark.parametrize("n_threads", [1, 8])
def test_the_number_of_threads_changes_nothing(n_threads, data):
    for number in range(6):
        data.add("test", f"gone{number}.wav", "")
        data.add("noisy", f"rate{number}.wav", "Bark", seed=300 + number, rate=22050)
    _, problems = data.check(f"--num_workers={n_threads}")
    assert [fname for _, _, fname in problems] == [
        *(f"gone{number}.wav" for number in range(6)),
        *(f"rate{number}.wav" for number in range(6)),
    ]


@pytest.mark.parametrize(
    "flags, words",
    [
        ([], "nothing to check"),
        (["--classmap=c.json"], "nothing to check"),
        (["--train_df=t.csv"], "--train_df and --train_data_dir go together"),
        (["--noisy_train_data_dir=d"], "--noisy_train_df and --noisy_train_data_dir go together"),
        (["--test_df=t.csv"], "--test_df and --test_data_dir go together"),
        (["--train_df=t.csv", "--train_data_dir=d", "--n_folds=1"], "at least 2"),
        (["--train_df=t.csv", "--train_data_dir=d", "--features=mfcc_13"], "features: expected mel_"),
    ],
)
def test_flags_that_do_not_go_together(flags, words, capsys):
    with pytest.raises(SystemExit) as raised:
        check_data.main(flags)
    error = capsys.readouterr().err
    assert raised.value.code == 2 and words in error and len(error.splitlines()) == 1


def test_as_a_user_starts_it(data, run_script):
    data.add("curated", "gone.wav", "Bark")
    done = run_script("check_data.py", *data.flags())
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "error: 1 x missing:" in done.stdout and "1 error, 0 warnings" in done.stdout
    data.rows["curated"].pop()
    done = run_script("check_data.py", *data.flags())
    assert done.returncode == 0 and "no problems found" in done.stdout


def test_hidden_folders_are_the_systems(toy, tmp_path, capsys):
    folder = tmp_path / "clips"
    shutil.copytree(toy.folder / "train_curated", folder)
    (folder / ".git").mkdir()
    (folder / ".git/object").write_text("x")
    (folder / "more").mkdir()
    (folder / "more/stray.wav").write_text("x")
    flags = [f"--train_df={toy.folder / 'train_curated.csv'}", f"--train_data_dir={folder}"]
    with contextlib.suppress(SystemExit, DataError):
        check_data.main(flags)
    out, err = capsys.readouterr()
    assert "more/stray.wav" in out + err and ".git" not in out + err
