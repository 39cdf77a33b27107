"""Configs of runs: digests, JSON there and back, and everything that is none."""

import copy
import json
from dataclasses import replace

import pytest

from networks.classifiers import NetworkConfig
from ops.errors import DataError
from run_configs import run_config, with_train
from toolkit.runs.config import InitFrom, RunConfig
from toolkit.system.options import defaults


def test_json_there_and_back():
    config = with_train(
        run_config(noisy_train_df="n.csv", noisy_train_data_dir="n", share_noisy=True),
        init_from=InitFrom("experiments/a", "0" * 16),
        lr=1,
    )
    content = json.loads(json.dumps(config.to_json()))
    assert set(content) == {"network", "data", "train", "label"}
    assert RunConfig.from_json(content, "config.json") == config


def test_the_digest_is_over_what_differs_from_the_defaults():
    config = run_config()
    assert len(config.digest()) == 8 and int(config.digest(), 16) >= 0
    assert config.digest() == with_train(config, lr=0.01, amp=False).digest() == run_config().digest()
    others = [
        with_train(config, lr=0.02),
        run_config(n_folds=3),
        run_config("other"),
        run_config(network={"features": "mel_512_512_8"}),
    ]
    assert len({config.digest(), *(other.digest() for other in others)}) == 5


def test_a_network_setting_at_its_default_names_no_other_experiment():
    """As a flag of the network that a later version adds."""
    config = replace(run_config(), network_defaults=defaults(NetworkConfig))
    with_setting = replace(config, network={**config.network, "output_dropout": 0.0})
    assert config.digest() == with_setting.digest()
    assert config.is_of(with_setting) and with_setting.is_of(config)
    assert not config.is_of(replace(config, network={**config.network, "output_dropout": 0.5}))


def test_a_config_of_an_earlier_version_is_of_the_same_run():
    content = run_config().to_json()
    del content["train"]["adapt_batch_norm"], content["data"]["cross_fit_noisy"]
    assert run_config().is_of(RunConfig.from_json(content, "config.json"))


def test_a_run_of_a_version_that_added_only_keeps_its_name_and_stays_one_that_adds():
    """--mixup came later, with another default; without MixUp it tells no runs apart."""
    added, pasted = (with_train(run_config(), p_mixup=0.5, mixup=mixup) for mixup in ("add", "paste"))
    content = added.to_json()
    del content["train"]["mixup"]
    earlier = RunConfig.from_json(content, "config.json")
    assert earlier == added and added.is_of(earlier) and not pasted.is_of(earlier)
    assert added.digest() != pasted.digest()
    without = [with_train(run_config(), mixup=mixup) for mixup in ("add", "paste")]
    assert without[0].digest() == without[1].digest() and without[0].is_of(without[1])


@pytest.mark.parametrize(
    "section, name, value, found",
    [
        ("data", "n_folds", "5", "entry 'n_folds': expected int, found '5'"),
        ("data", "n_folds", True, "entry 'n_folds': expected int, found True"),
        ("data", "share_noisy", 1, "entry 'share_noisy': expected bool, found 1"),
        ("data", "classes", "Bark", "entry 'classes': expected list, found 'Bark'"),
        ("data", "train_df", None, "entry 'train_df': expected str, found None"),
        ("train", "colour", "red", "an unknown entry 'colour'"),
        ("train", "init_from", {"experiment": "a"}, "entry 'init_from': found no entry 'digest'"),
        ("train", "init_from", "a", "entry 'init_from': expected InitFrom, found 'a'"),
        ("network", "features", None, "the entry 'features'"),
    ],
)
def test_a_config_of_another_form_is_told_in_one_line(section, name, value, found):
    content = copy.deepcopy(run_config().to_json())
    content[section][name] = value
    with pytest.raises(DataError, match="config.json: expected an experiment's configuration") as raised:
        RunConfig.from_json(content, "config.json")
    assert found in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [[], {}, {"label": "a"}, None, {"network": {}, "data": {}, "train": {}}])
def test_what_lacks_sections_is_told(content):
    with pytest.raises(DataError, match="expected the sections network, data, train and label"):
        RunConfig.from_json(content, "config.json")
