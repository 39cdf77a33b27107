"""Tags: predict_2d_cnn.py --inputs and Tagger, from training's tags.json to times and pages."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile

import predict_2d_cnn
import train_2d_cnn
from ops.activity import FRAME_SAMPLES
from ops.calibration import Calibration
from ops.errors import DataError
from ops.familiarity import Familiarity
from page_data import data_of
from repository import ROOT
from toolkit import Tagger
from toolkit.prediction.timeline import NONE
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import read_predictions, write_predictions
from toolkit.runs.tag_rules import TagRules, read_rules
from toolkit.training.tag_fitting import keep
from toy_data import CLASSES

RATE = 44100
EVERYTHING = TagRules(CLASSES, Calibration(1, 0), np.zeros(len(CLASSES)), -60, 1.0, 0.5)
NOTHING = replace(EVERYTHING, thresholds=np.full(len(CLASSES), 2.0))


@pytest.fixture(scope="module")
def trained(toy, tmp_path_factory):
    """An experiment whose out-of-fold predictions are right, as a longer training's would be."""
    folder = tmp_path_factory.mktemp("experiments")
    flags = ["--aggregation_type=max", "--optimizer=adam", "--n_folds=2", "--folds", "0", "1", "--epochs=1"]
    flags += ["--num_conv_blocks=2", "--conv_base_depth=4", "--start_deep_supervision_on=0", "--device=cpu"]
    flags += [f"--train_df={toy.folder / 'train_curated.csv'}", f"--experiments_dir={folder}"]
    flags += [f"--train_data_dir={toy.folder / 'train_curated'}", f"--classmap={toy.classmap}"]
    train_2d_cnn.main([*flags, "--num_workers=0", "--batch_size=8", "--features=mel_512_512_16"])
    (directory,) = folder.iterdir()
    fitted = (directory / "tags.json").exists()
    assert fitted == ("tags fitted on 24 out-of-fold clips" in (directory / "log").read_text())
    assert fitted != ("no tags.json" in (directory / "log").read_text())
    labels = pd.read_csv(toy.folder / "train_curated.csv").set_index("fname")["labels"]
    rng = np.random.default_rng(0)
    for fold in (0, 1):
        path = directory / f"predictions/val_preds_fold_{fold}.csv"
        table = read_predictions(path)
        own = [[name in labels[fname].split(",") for name in table.classes] for fname in table.fnames]
        scores = np.where(own, 0.8, 0.1) + rng.uniform(-0.1, 0.1, np.shape(own))
        write_predictions(path, replace(table, probabilities=scores), with_sum=True)
    return directory


@pytest.fixture
def experiment(trained):
    (trained / "tags.json").unlink(missing_ok=True)
    return Experiment.load(trained)


@pytest.fixture
def predict(experiment):
    def run(*flags) -> int:
        fixed = [f"--experiment={experiment.directory}", "--device=cpu", "--num_workers=0"]
        return predict_2d_cnn.main([*fixed, *map(str, flags)])

    return run


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """silence.wav, sound.wav, and laid.wav: the sound from 3 s on in 10 s of silence; all of whole frames."""
    folder = tmp_path_factory.mktemp("sounds")
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 40 * FRAME_SAMPLES).astype(np.float32)
    laid = np.zeros(10 * RATE, np.float32)
    laid[3 * RATE : 3 * RATE + len(sound)] = sound
    for name, audio in (("silence", laid[:RATE]), ("sound", sound), ("laid", laid)):
        soundfile.write(folder / f"{name}.wav", audio, RATE, subtype="FLOAT")
    return SimpleNamespace(folder=folder, sound=sound, laid=laid)


def test_silence_is_none_and_does_not_take_part(experiment, predict, sounds, capsys):
    keep(experiment, EVERYTHING)
    assert predict("--inputs", sounds.folder) == 0
    lines = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["silence.wav"] == NONE
    assert lines["laid.wav"] == lines["sound.wav"] and lines["sound.wav"].count(",") == len(CLASSES) - 1
    keep(experiment, NOTHING)
    predict("--inputs", sounds.folder / "sound.wav")
    assert capsys.readouterr().out == f"sound.wav  {NONE}\n"
    predict("--inputs", sounds.folder / "sound.wav", "--top_k=1")
    assert NONE not in capsys.readouterr().out


@pytest.mark.parametrize("biases, is_known", [((1, 1), True), ((1, -1), False), ((-1, -1), False)])
def test_more_than_half_of_the_networks_must_have_met_the_like(experiment, sounds, biases, is_known):
    width = 4 + 8  # channels of both blocks
    tests = {
        fold: Familiarity(np.zeros(width), np.ones(width), np.zeros(width), bias, 1e9)
        for fold, bias in enumerate(biases)
    }
    keep(experiment, replace(EVERYTHING, familiarity=tests, thresholds=np.full(len(CLASSES), 1e-9)))
    found = Tagger.load(experiment.directory).predict(sounds.folder / "sound.wav")
    assert found["class"].notna().all() == is_known and len(found) == (len(CLASSES) if is_known else 1)


def test_times_as_table_labels_and_page(experiment, predict, sounds, tmp_path, capsys):
    keep(experiment, EVERYTHING)
    table, labels, page = tmp_path / "times.csv", tmp_path / "labels", tmp_path / "times.html"
    flags = [f"--timeline={table}", f"--audacity={labels}", f"--page={page}", "--hop_seconds=0.1"]
    assert predict("--inputs", sounds.folder, *flags) == 0
    times = pd.read_csv(table)
    assert list(times) == ["file", "start", "end", "class", "probability"]
    laid = times[times["file"] == "laid.wav"]
    assert sorted(laid["class"]) == sorted(CLASSES) and set(times["file"]) == {"laid.wav", "sound.wav"}
    assert set(laid["start"]) == {3.0} and set(laid["end"]) == {3.8}
    assert (labels / "laid.wav.txt").read_text().startswith("3.000\t3.800\t")
    assert (labels / "silence.wav.txt").read_text() == ""
    shown = {one["fname"]: one for one in data_of(page)["recordings"]}
    assert list(shown) == ["laid.wav", "silence.wav", "sound.wav"] and shown["silence.wav"]["lanes"] == []
    assert shown["laid.wav"]["lanes"][0]["stretches"][0][:2] == [3.0, 3.8]


def test_a_tagger_takes_files_and_arrays(experiment, sounds):
    keep(experiment, EVERYTHING)
    tagger = Tagger.load(experiment.directory)
    of_file = tagger.predict(sounds.folder / "laid.wav")
    of_array = tagger.predict([sounds.laid, np.stack([sounds.sound] * 2, axis=1)], RATE)
    assert of_array["file"].unique().tolist() == ["0", "1"]
    for number, start in (("0", 3.0), ("1", 0.0)):
        own = of_array[of_array["file"] == number].reset_index(drop=True)
        np.testing.assert_allclose(own["probability"], of_file["probability"], rtol=1e-5)
        assert own["class"].tolist() == of_file["class"].tolist()
        assert set(own["start"]) == {start} and own["end"].tolist() == pytest.approx([start + 0.8] * len(own))
    none = tagger.predict(np.zeros(8000, np.float32), 8000)
    assert none["class"].isna().all() and none["end"].tolist() == [1.0]
    wide = tagger.probabilities(sounds.folder)
    assert (
        wide.columns.tolist() == ["file", *CLASSES] and wide.set_index("file").loc["silence.wav"].max() == 0
    )
    several = Tagger.load(experiment.directory, experiment.directory).predict(sounds.folder / "laid.wav")
    pd.testing.assert_frame_equal(several, of_file, rtol=1e-5)


@pytest.mark.parametrize(
    "given, rate, expected",
    [
        (np.zeros(10), None, "sample rate"),
        (np.zeros(10, int), 8000, "expected floats"),
        (np.full(10, np.nan), 8000, "from -1 to 1"),
        (np.full(10, 1e4), 8000, "from -1 to 1"),
        (np.zeros((0,)), 8000, "expected floats"),
        ([], 8000, "got nothing"),
        (["missing.wav", np.zeros(10)], 8000, "got both"),
        ("missing.wav", None, "expected a sound file or a folder"),
    ],
)
def test_what_is_no_sound_gives_one_line(experiment, given, rate, expected):
    keep(experiment, EVERYTHING)
    with pytest.raises(DataError, match=expected) as caught:
        Tagger.load(experiment.directory).predict(given, rate)
    assert "\n" not in str(caught.value)


def test_an_experiment_without_tags_gets_them_when_they_are_needed(experiment, predict, sounds):
    path = experiment.path("tags.json")
    assert predict("--inputs", sounds.folder) == 0
    rules, written = read_rules(path, CLASSES), path.read_bytes()
    assert sorted(rules.familiarity) == [0, 1] and (rules.thresholds > 0.2).all()
    path.unlink()
    tagger = Tagger.load(experiment.directory)
    assert path.read_bytes() == written  # the same fitted again
    backgrounds = [0.01 * np.sin(2 * np.pi * 50 * np.arange(RATE) / RATE), np.zeros(RATE)]
    assert tagger.predict(backgrounds, RATE)["class"].isna().all()


def test_an_experiment_whose_clips_are_gone_still_has_tags(experiment, sounds, capsys):
    moved = replace(
        experiment.config, data=replace(experiment.config.data, train_data_dir=str(sounds.folder / "gone"))
    )
    config = experiment.path("config.json")
    before = config.read_text()
    try:
        config.write_text(json.dumps(moved.to_json()))
        tagger = Tagger.load(experiment.directory)
    finally:
        config.write_text(before)
    assert tagger.rules[0].familiarity == {} and not experiment.path("tags.json").exists()
    assert "unlike anything in training will be tagged" in capsys.readouterr().err


def test_without_out_of_fold_predictions_one_line_and_the_table_is_written(
    experiment, predict, sounds, tmp_path, capsys
):
    path = experiment.predictions("val_preds_fold_0")
    path.rename(path.with_suffix(".away"))
    try:
        with pytest.raises(DataError, match="expected out-of-fold predictions"):
            predict("--inputs", sounds.folder)
        assert predict("--inputs", sounds.folder, f"--output_df={tmp_path / 'out.csv'}") == 0
    finally:
        path.with_suffix(".away").rename(path)
    assert "no tags: " in capsys.readouterr().err and len(pd.read_csv(tmp_path / "out.csv")) == 3


def test_bad_files_among_good_ones_are_named(experiment, predict, sounds, tmp_path, capsys):
    keep(experiment, EVERYTHING)
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    assert predict("--inputs", sounds.folder / "sound.wav", tmp_path / "bad.wav") == 3
    out, err = capsys.readouterr()
    assert "bad.wav" in err and "1 of 2 clips could not be read" in err and "bad.wav" not in out


def test_the_lines_of_python_in_the_documentation(experiment, sounds, monkeypatch, capsys):
    keep(experiment, EVERYTHING)
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "tags.md").read_text(), re.DOTALL)
    code = code.replace("experiments/curated-0a1b2c3d", str(experiment.directory))
    code = code.replace("door.mp3", "sound.wav").replace("my_recordings", ".")
    monkeypatch.chdir(sounds.folder)
    names = {"samples": sounds.sound}
    exec(code, names)
    assert len(capsys.readouterr().out.splitlines()) == 2 * len(CLASSES)
    assert len(names["noise"]) == len(names["times"]) == len(CLASSES) and len(names["scores"]) == 1
