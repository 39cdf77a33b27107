"""Presets and experiments in place of flags: what they set, what counts first, what is asked for."""

import pytest

import run_noisy_rounds
import train_2d_cnn
import train_hierarchical_cnn
from command_lines import usage_error
from run_configs import run_config
from toolkit.cli.presets import PRESETS, SMALL
from toolkit.runs.config import TrainConfig
from toolkit.system.files import write_json

PATHS = ["--train_df=no.csv", "--train_data_dir=no/", "--classmap=no.json"]
NOISY = ["--noisy_train_df=noisy.csv", "--noisy_train_data_dir=noisy"]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_gives_all_that_is_required_but_the_paths(name):
    for script, features in (
        (train_2d_cnn, PRESETS[name]["features"]),
        (train_hierarchical_cnn, "stft_256_128"),
    ):
        args = script.parse_args([*PATHS, f"--preset={name}"])
        expected = {**PRESETS[name], "features": features}
        assert {key: getattr(args, key) for key in expected} == expected
        assert args.folds == list(range(args.n_folds))
        assert args.notes[0].startswith(f"preset {name}: --features={features} ")


def test_presets_of_rounds(capsys):
    flags = ["--rounds", "scoring_10", "--rounds_dir=r", *PATHS, *NOISY, "--preset", "noisy"]
    assert run_noisy_rounds.parse_args([*flags, "--network=1d"]).features == "stft_256_128"
    assert "preset noisy: --features=stft_256_128 " in capsys.readouterr().out
    assert run_noisy_rounds.parse_args([*flags, "--network=2d"]).features == SMALL["features"]


def test_flags_that_are_given_count_first():
    flags = ["--epochs", "3", "--features=mel_512_512_16", "--folds", "1", "--n_folds", "3"]
    for given in ([*flags, "--preset=small"], ["--preset=small", *flags]):
        args = train_2d_cnn.parse_args([*PATHS, *given])
        assert (args.epochs, args.features, args.folds, args.batch_size) == (3, "mel_512_512_16", [1], 8)


def test_without_a_preset_the_error_names_it(capsys):
    error = usage_error(capsys, train_2d_cnn.parse_args, PATHS)
    assert "required: --features, --aggregation_type, --optimizer; --preset NAME gives" in error


def test_like_another_experiment(tmp_path, capsys):
    settings = {"epochs": 7, "adapt_batch_norm": True, "amp": True, "compile": True}
    network = {"aggregation_type": "rnn", "num_conv_blocks": 3, "frequency_encoding": False}
    config = run_config(network=network, train=settings)
    write_json(tmp_path / "config.json", config.to_json())
    like = f"--like={tmp_path}"
    args = train_2d_cnn.parse_args([like])
    assert (args.train_df, args.classmap) == (config.data.train_df, config.data.classmap)
    assert (args.features, args.aggregation_type) == (config.features, "rnn")
    assert (args.epochs, args.adapt_batch_norm, args.n_folds) == (7, True, config.data.n_folds)
    assert not args.amp and not args.compile  # the machine's
    assert args.label == "2d_cnn"
    assert train_2d_cnn.parse_args([like, "--epochs=2"]).epochs == 2
    assert not args.frequency_encoding
    assert args.notes == [
        f"like {tmp_path}: --features=mel_512_512_16 --aggregation_type=rnn --num_conv_blocks=3 "
        "--no_frequency_encoding --train_df=train.csv --train_data_dir=train --classmap=classmap.json "
        "--n_folds=2 --optimizer=adam --epochs=7 --adapt_batch_norm; flags given as well count first"
    ]
    error = usage_error(capsys, train_hierarchical_cnn.parse_args, [like])
    assert "--like: expected an experiment of a 1d network" in error


def test_presets_are_of_network_and_schedule_alone():
    """Tables, folders and what an experiment is called are the user's business."""
    known = set(TrainConfig.__dataclass_fields__) | set(SMALL) | {"n_folds"}
    for values in PRESETS.values():
        assert set(values) <= known and set(SMALL) <= set(values)
