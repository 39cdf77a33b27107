"""--cache: every clip is decoded once, and nothing comes out otherwise."""

from collections import Counter

import pandas as pd
import pytest

import predict_2d_cnn
import run_noisy_rounds
import train_2d_cnn
from toolkit.clips import cache
from toolkit.clips.cache import ClipCache
from toy_data import with_noisy, with_test

TIMED = {"seconds"}  # columns of a history that no two runs share


@pytest.fixture
def train(toy, training_flags, tmp_path):
    """train("name", ...) -> the experiment directory of a run of its own."""

    def run(name: str, *extra: str, **changed):
        flags = {
            **with_noisy(toy),
            **with_test(toy),
            "p_mixup": 0.5,
            "max_audio_length": 0.5,
            "epochs": 1,
            **changed,
        }
        train_2d_cnn.main(training_flags(*extra, **flags, experiments_dir=tmp_path / name))
        (experiment,) = (tmp_path / name).iterdir()
        return experiment

    return run


def results(experiment) -> dict[str, object]:
    found = {path.name: path.read_bytes() for path in experiment.glob("predictions/*.csv")}
    for name in ("config.json", "results.json", "clips.json"):
        found[name] = (experiment / name).read_bytes()
    for path in experiment.glob("history/*.csv"):
        history = pd.read_csv(path, dtype=str)
        found[path.name] = history.drop(columns=TIMED).to_csv()
    return found


def test_every_clip_is_decoded_once_for_all_epochs_folds_and_runs(train, tmp_path, monkeypatch):
    plain = train("plain")
    decoded, decode = Counter(), cache.decode_clip

    def counting(path, max_seconds):
        decoded[path.name] += 1
        return decode(path, max_seconds)

    monkeypatch.setattr(cache, "decode_clip", counting)
    monkeypatch.setattr(cache, "read_audio", None)
    filled = train("filled", cache=tmp_path / "cache")
    assert len(decoded) == 24 + 16 + 8 and set(decoded.values()) == {1}

    monkeypatch.setattr(cache, "decode_clip", None)
    warm = train("warm", cache=tmp_path / "cache")
    assert plain.name == filled.name == warm.name, "the cache is no part of the config"
    assert len(results(plain)) == 5 + 3 + 2
    assert results(plain) == results(filled) == results(warm)


def test_predictions_and_unreadable_clips_are_the_same(toy, train, tmp_path, capsys):
    experiment = train("plain", "--folds", "0")
    fnames = pd.read_csv(toy.folder / "sample_submission.csv")["fname"]
    table = tmp_path / "table.csv"
    pd.DataFrame({"fname": [*fnames, "missing.wav"]}).to_csv(table, index=False)

    def predict(name, *extra):
        output = tmp_path / name
        code = predict_2d_cnn.main(
            [
                *("--experiment", str(experiment), "--classmap", str(toy.classmap), "--device=cpu"),
                *("--test_df", str(table), "--test_data_dir", str(toy.folder / "test"), "--num_workers=2"),
                *("--output_df", str(output), *extra),
            ]
        )
        return code, output.read_bytes(), output.with_name(f"{name}.bad_clips.csv").read_bytes()

    plain = predict("plain.csv")
    capsys.readouterr()
    kept = ["--cache", str(tmp_path / "cache")]
    assert predict("filled.csv", *kept) == plain
    assert "0 of 8 clips are kept decoded there; 8 need" in capsys.readouterr().out
    assert predict("warm.csv", *kept) == plain
    assert "8 of 8 clips are kept decoded there\n" in capsys.readouterr().out


def test_rounds_take_a_cache(rounds_flags, tmp_path):
    flags = rounds_flags(tmp_path / "rounds", ["scoring_5"], f"--cache={tmp_path / 'cache'}")
    assert isinstance(run_noisy_rounds.parse_args(flags).runtime.cache, ClipCache)
