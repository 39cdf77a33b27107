"""Layouts of real recordings: folds, shares of wrong labels, second sounds, and the same bytes again."""

import csv
import random
from pathlib import Path

import make_layout
import numpy as np
import pandas as pd
import pytest
import soundfile

from ops.errors import DataError

CLASSES = ("bark", "meow", "rain")
FEW = ("--curated_per_class=2",)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """4 folds of 3 classes, 20 clips of each: 150 loud samples at 8 kHz, then silence."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "audio").mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for fold in (1, 2, 3, 4):
        for name in CLASSES:
            for number in range(20):
                fname = f"{fold}_{name}_{number}.wav"
                sound = np.concatenate([rng.uniform(0.1, 0.9, 150), np.zeros(300)])
                soundfile.write(folder / "audio" / fname, sound, 8000, subtype="PCM_16")
                rows.append((fname, name, fold))
    with open(folder / "digits.csv", "w", newline="") as file:
        csv.writer(file).writerows([("fname", "category", "fold"), *rows])
    return folder


def lay_out(source: Path, out: Path, *flags: str) -> Path:
    make_layout.main([str(out), "--source=digits", f"--source_dir={source}", *flags])
    return out


def labels_of(table: Path) -> dict[str, frozenset[str]]:
    frame = pd.read_csv(table, keep_default_na=False)
    return {
        fname: frozenset(cell.split(",")) for fname, cell in zip(frame["fname"], frame["labels"], strict=True)
    }


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(source, tmp_path):
    first, again, other = (
        content(lay_out(source, tmp_path / name, *flags))
        for name, flags in (("a", FEW), ("b", FEW), ("c", (*FEW, "--seed=8")))
    )
    assert first == again
    assert first["train_noisy.csv"] != other["train_noisy.csv"]


def test_folds_sounds_and_tables(source, tmp_path):
    out = lay_out(source, tmp_path / "out", "--curated", "1", "2", "--noisy", "2", "3", "--test", "4",
                  "--curated_per_class=3", "--p_two=0")  # fmt: skip
    for table, folds, folder, n in (
        ("train_curated", "12", "train_curated", 9),
        ("train_noisy_truth", "23", "train_noisy", 120),
        ("test_truth", "4", "test", 60),
    ):
        labels = labels_of(out / f"{table}.csv")
        assert len(labels) == n and list(labels) == sorted(labels)
        assert {fname[0] for fname in labels} <= set(folds)
        assert all(names == {fname.split("_")[1]} for fname, names in labels.items())
        assert {path.name for path in (out / folder).iterdir()} == set(labels)
    curated = [*labels_of(out / "train_curated.csv").values()]
    assert all(curated.count(frozenset({name})) == 3 for name in CLASSES)
    assert (
        (out / "sample_submission.csv").read_text().startswith("fname,bark,meow,rain\n4_bark_0.wav,0,0,0\n")
    )
    info = soundfile.info(next((out / "test").iterdir()))
    assert (info.samplerate, info.channels, info.subtype) == (44100, 1, "PCM_16")
    # 150 samples at 8 kHz and the filter's ringing, without most of the 300 silent ones
    assert 150 * 44100 // 8000 <= info.frames < 250 * 44100 // 8000


def test_shares_of_wrong_labels_and_of_second_sounds(source, tmp_path):
    out = lay_out(
        source, tmp_path / "out", "--noisy", "1", "2", "3", "--label_noise=0.4", "--p_two=0.3", *FEW
    )
    truth, noisy = (labels_of(out / f"train_noisy{name}.csv") for name in ("_truth", ""))
    wrong = [fname for fname in truth if noisy[fname] != truth[fname]]
    assert abs(len(wrong) / 180 - 0.4) < 0.1  # three standard errors
    assert all(len(noisy[fname]) == 1 and not noisy[fname] & truth[fname] for fname in wrong)
    two = [fname for fname, names in truth.items() if len(names) == 2]
    assert abs(len(two) / 180 - 0.3) < 0.1
    assert all(fname.split("_")[1] in truth[fname] for fname in truth)
    rows = sorted(truth.items())
    assert make_layout.mislabelled(rows, CLASSES, 0, random.Random(0)) == rows
    all_wrong = make_layout.mislabelled(rows, CLASSES, 1, random.Random(0))
    assert [fname for fname, _ in all_wrong] == [fname for fname, _ in rows]
    assert not any(names & truth[fname] for fname, names in all_wrong)


def test_a_clip_laid_over_another_by_hand():
    first, second = np.float32([0.8, 0.4, 0.2]), np.float32([0.6, -0.2])
    assert make_layout.laid_over(first, second, 2) == pytest.approx([0.4, 0.2, 0.4, -0.1])
    assert make_layout.laid_over(first, second, 0) == pytest.approx([0.7, 0.1, 0.1])


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--test", "5"], "expected clips of fold 5, found 1, 2, 3, 4"),
        (["--source=esc10", "--source_dir=nowhere"], "download_data.py esc50 --output_dir nowhere"),
        (["--source=esc10"], "esc50.csv"),
        (["--source_dir=."], "found no clips that download_data.py fsdd lays out"),
    ],
)
def test_mistakes_are_told_and_leave_nothing(flags, words, source, tmp_path):
    with pytest.raises(DataError, match=words) as raised:
        lay_out(source, tmp_path / "out", *flags)
    assert "\n" not in str(raised.value) and not list(tmp_path.iterdir())


def test_what_cannot_be_drawn_is_told(source, tmp_path):
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "audio").symlink_to(source / "audio")
    rows = [row for row in (source / "digits.csv").read_text().splitlines() if "bark" in row]
    (alone / "digits.csv").write_text("\n".join(["fname,category,fold", *rows]))
    with pytest.raises(DataError, match="clips of two classes.*--p_two 0"):
        lay_out(alone, tmp_path / "out", "--p_two=1")
    with pytest.raises(DataError, match="a class that it does not hold; give --label_noise 0"):
        lay_out(alone, tmp_path / "out", "--p_two=0", "--label_noise=1")
    lay_out(source, tmp_path / "there", "--p_two=0")
    with pytest.raises(DataError, match="exists already"):
        lay_out(source, tmp_path / "there")


def test_esc50_as_it_is_downloaded(get, tmp_path):
    """Fold by fold; of ESC-10's clips only, named as ESC-10 names them."""
    get("esc50")
    table = tmp_path / "data/esc50/esc50.csv"
    table.write_text(table.read_text().replace("1-11-A-1.wav,1,1,dog,True", "1-11-A-1.wav,1,1,dog,False"))
    out = tmp_path / "out"
    make_layout.main(
        [str(out), "--source=esc10", f"--source_dir={tmp_path / 'data'}", "--test", "5", "--p_two=0"]
    )
    assert labels_of(out / "train_curated.csv") == {
        "1-10-A.wav": {"Rain"}, "2-20-A.wav": {"Rain"}, "2-21-A.wav": {"Dog_bark"},
    }  # fmt: skip
    assert list(labels_of(out / "test_truth.csv")) == ["5-50-A.wav", "5-51-A.wav"]


def test_spoken_digits_as_they_are_downloaded(get, tmp_path):
    """Four of the speakers are a fold each; others are left out."""
    get("fsdd")
    out = tmp_path / "out"
    flags = ["--curated", "1", "--noisy", "1", "--test", "4", "--p_two=0"]
    make_layout.main([str(out), "--source=digits", f"--source_dir={tmp_path / 'data'}", *flags])
    assert labels_of(out / "train_curated.csv") == {
        "0_jackson_4.wav": {"zero"}, "0_jackson_5.wav": {"zero"}, "7_jackson_12.wav": {"seven"},
    }  # fmt: skip
    assert list(labels_of(out / "test_truth.csv")) == ["7_george_0.wav"]
