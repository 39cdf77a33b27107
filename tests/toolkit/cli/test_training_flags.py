"""Training's flags: defaults, usage errors before anything is read or written, devices."""

from dataclasses import dataclass

import pytest
import torch

import predict_2d_cnn
import train_2d_cnn
import train_hierarchical_cnn
from command_lines import usage_error
from networks.classifiers import NetworkConfig
from real_processes import environments
from toolkit.cli import training_flags
from toolkit.cli.parser import make_parser
from toolkit.system.options import option

REQUIRED = [
    "--train_df=no.csv",
    "--train_data_dir=no/",
    "--classmap=no.json",
    "--features=mel_2048_1024_128",
    "--optimizer=adam",
    "--aggregation_type=max",
]


NOISY = ["--noisy_train_df=noisy.csv", "--noisy_train_data_dir=noisy"]


@pytest.mark.parametrize(
    "flags, expected",
    [
        (["--folds", "0", "4"], "expected 0 to 3"),
        (["--folds", "0", "5", "--n_folds=5"], "expected 0 to 4"),
        (["--folds", "0", "0"], "each fold once"),
        (["--folds", "-1"], "at least 0"),
        (["--folds", "0", "--n_folds=1"], "at least 2"),
        (["--folds", "0", "--features=mel_2048"], "mel_<n_fft>_<hop>_<n_mels>"),
        (["--folds", "0", "--scheduler=cosine"], "1cycle_<min>_<max>"),
        (["--folds", "0", "--scheduler=1cycle_0.1_0.01"], "min <= max"),
        (["--folds", "0", "--loss=hinge"], "'lsep'"),
        (["--folds", "0", "--optimizer=sgd"], "'momentum'"),
        (["--folds", "0", "--p_mixup=1.5"], "from 0 to 1"),
        (["--folds", "0", "--p_aug=nan"], "from 0 to 1"),
        (["--folds", "0", "--output_dropout=1"], "less than 1"),
        (["--folds", "0", "--epochs=0"], "at least 1"),
        (["--folds", "0", "--batch_size=x"], "at least 1"),
        (["--folds", "0", "--label=a/b"], "names a directory"),
        (["--folds", "0", "--noisy_train_df=a.csv"], "--noisy_train_data_dir"),
        (["--folds", "0", "--share_noisy"], "--noisy_train_df"),
        (["--folds", "0", "--cross_fit_noisy"], "--noisy_train_df"),
        (["--folds", "0", "--cross_fit_noisy", "--share_noisy", *NOISY], "give one of them"),
        (["--folds", "0", "--test_data_dir=test"], "--sample_submission"),
        (["--folds", "0", "--start_deep_supervision_on=5"], "0 to 4"),
        (["--folds", "0", "--features=mel_2048_1024_16"], "at least 32 features"),
        (["--folds", "0", "--device=cuda:99"], "--device"),
        (["--folds", "0", "--device=banana"], "--device"),
        (["--folds", "0", "--graphs", "--device=cpu"], "CUDA graphs need a GPU, and the device is cpu"),
        (["--folds", "0", "--graphs", "--aggregation_type=rnn"], "goes with --aggregation_type=max"),
        (["--folds", "0", "--graphs", "--accumulation_steps=2"], "goes with --accumulation_steps=1"),
        (["--folds", "0", "--graphs", "--compile"], "leave --compile out"),
        (["--folds", "0", "--num_conv_block=3"], "--num_conv_block"),  # no abbreviations
        (["--preset=smal"], "expected one of 'small', 'published', 'noisy', got 'smal' (nearest: 'small')"),
        (["--preset"], "expected one argument"),
        (["--preset=small", "--like=x"], "not allowed with"),
        (["--like=nowhere"], "--like: nowhere: expected an experiment's directory"),
    ],
)
def test_usage_errors(capsys, flags, expected):
    assert expected in usage_error(capsys, train_2d_cnn.parse_args, [*REQUIRED, *flags])


def test_effects_without_sox(capsys, monkeypatch):
    monkeypatch.setenv("PATH", "")
    flags = [*REQUIRED, "--folds", "0", "--p_aug=0.5"]
    error = usage_error(capsys, train_2d_cnn.parse_args, [*flags, "--effects=sox"])
    assert "SoX" in error and "apt-get install sox" in error and "--effects=torch needs none" in error
    assert train_2d_cnn.parse_args([*flags, "--effects=torch"]).p_aug == 0.5


def test_defaults_are_those_of_the_published_solution():
    args = train_2d_cnn.parse_args([*REQUIRED, "--folds", "0"])
    expected = {
        "log_interval": 10,
        "batch_size": 64,
        "max_audio_length": 10,
        "lr": 0.01,
        "max_samples": None,
        "holdout_size": 0,
        "epochs": 100,
        "scheduler": "steplr_1_0.5",
        "accumulation_steps": 1,
        "save_every": None,
        "num_conv_blocks": 5,
        "start_deep_supervision_on": 2,
        "conv_base_depth": 64,
        "growth_rate": 2,
        "weight_decay": 1e-5,
        "output_dropout": 0,
        "p_mixup": 0,
        "p_aug": 0,
        "switch_off_augmentations_on": 20,
        "n_folds": 4,
        "kfold_seed": 42,
        "num_workers": 4,
        "label": "2d_cnn",
        "loss": "lsep",
        "resume": False,
        "share_noisy": False,
    }
    assert {key: getattr(args, key) for key in expected} == expected
    assert train_hierarchical_cnn.parse_args([*REQUIRED, "--folds", "0"]).label == "1d_cnn"


RUNTIME_FLAGS = {
    *("folds", "device", "num_workers", "resume", "log_interval", "save_every", "experiments_dir"),
    *("parallel", "test_data_dir", "sample_submission", "classmap", "label", "quiet", "runtime", "cache"),
    *("preset", "like", "notes"),  # give other flags, and a line in the log
    "init_from",  # in the config where it is given: tests/toolkit/training/test_warm_start.py
}


@pytest.mark.parametrize("script, kind", [(train_2d_cnn, "2d"), (train_hierarchical_cnn, "1d")])
def test_every_flag_reaches_the_config_or_the_runtime(script, kind):
    args = script.parse_args([*REQUIRED, "--folds", "0", "--adapt_batch_norm", "--cross_fit_noisy", *NOISY])
    config = training_flags.run_config_of(args, NetworkConfig, kind, classes=["a", "b"])
    placed = {*config.network, *vars(config.data), *vars(config.train), *RUNTIME_FLAGS}
    assert set(vars(args)) <= placed
    NetworkConfig(**config.network)
    assert config.network.get("frequency_encoding", True) is True
    assert config.data.cross_fit_noisy and config.train.adapt_batch_norm and config.data.classes == ["a", "b"]


def test_frequency_encoding_can_be_left_out():
    args = train_2d_cnn.parse_args([*REQUIRED, "--folds", "0", "--no_frequency_encoding"])
    assert training_flags.network_section(args, NetworkConfig, "2d", 1)["frequency_encoding"] is False


def test_a_field_of_a_dataclass_is_a_flag_and_nothing_else_is_needed(capsys):
    """With its default, its limits, its choices and what --help says of it."""

    @dataclass(frozen=True, kw_only=True)
    class Config:
        needed: str = option("a text", choices=("red", "blue"))
        share: float = option("a share", 0.5, low=0, below=1)
        count: int | None = option("a number", None, low=1)
        loud: bool = option("sound", False)
        fast: bool = option("slow down", True)
        hidden: int = 3

    parser = make_parser("Try.")
    training_flags.add_flags(parser.add_argument_group("try"), Config)
    found = Config(**training_flags.values_of(parser.parse_args(["--needed=red"]), Config))
    assert found == Config(needed="red")
    given = ["--needed=blue", "--share=0.25", "--count=2", "--loud", "--no_fast"]
    found = Config(**training_flags.values_of(parser.parse_args(given), Config))
    assert found == Config(needed="blue", share=0.25, count=2, loud=True, fast=False)
    for wrong in (
        [],
        ["--needed=green"],
        [*given, "--share=1"],
        [*given, "--count=0"],
        [*given, "--hidden=4"],
    ):
        usage_error(capsys, parser.parse_args, wrong)
    assert "a share (default: 0.5)" in parser.format_help()


def test_one_fold_is_a_usage_error(training_flags, capsys):
    with pytest.raises(SystemExit) as stopped:
        train_2d_cnn.main(training_flags("--folds", "0", n_folds=1))
    assert stopped.value.code == 2
    assert "--n_folds" in capsys.readouterr().err


CPU = torch.device("cpu")


class Parser:
    def error(self, message):
        raise SystemExit(message)


def test_each_process_takes_its_own_gpu(monkeypatch):
    for name, value in environments()[1].items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch, "empty", lambda *_, **__: None)
    assert training_flags.resolve_device(Parser(), "cuda") == torch.device("cuda:1")
    assert training_flags.resolve_device(Parser(), "cpu") == CPU
    with pytest.raises(SystemExit, match="a GPU for each of the 2 processes"):
        training_flags.resolve_device(Parser(), "cuda:0")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(SystemExit, match="and 1 GPUs; lower --nproc_per_node, or give --parallel=folds"):
        training_flags.resolve_device(Parser(), "cuda")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")  # several machines of a GPU each
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert training_flags.resolve_device(Parser(), "cuda") == torch.device("cuda:0")


@pytest.mark.parametrize("n_gpus, expected", [(1, "00000"), (2, "01010"), (5, "01234"), (8, "01234")])
def test_processes_between_which_no_gradients_travel_share_gpus_evenly(monkeypatch, n_gpus, expected):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "empty", lambda *_, **__: None)
    for name, value in {**environments()[0], "LOCAL_WORLD_SIZE": "5", "WORLD_SIZE": "5"}.items():
        monkeypatch.setenv(name, value)
    for rank, gpu in enumerate(expected):
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        for flags in (["--parallel=folds"], ["--parallel=folds", "--device=cuda"]):
            args = train_2d_cnn.parse_args([*REQUIRED, "--folds", "0", *flags])
            assert args.runtime.device == torch.device(f"cuda:{gpu}")
        predict = ["--experiment=x", "--inputs=x.wav", "--top_k=1"]
        assert predict_2d_cnn.parse_args(predict).runtime.device == torch.device(f"cuda:{gpu}")
    named = training_flags.resolve_device(Parser(), "cuda:0", gradients=False)
    assert named == torch.device("cuda:0"), "a GPU that is named is the one that all take"
