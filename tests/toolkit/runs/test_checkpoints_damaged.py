"""A checkpoint in which any one bit was flipped, or that belongs elsewhere, is refused or harmless."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.errors import DataError
from run_configs import run_config
from toolkit.runs.checkpoints import load_checkpoint, load_weights, save_checkpoint

CONFIG = run_config()
CONTENT = {"classes": CONFIG.data.classes, "network": CONFIG.network, "epoch": 3, "best": 0.25}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Its path, its bytes and its content."""
    path = tmp_path_factory.mktemp("checkpoints") / "best_model.pth"
    content = {"model": {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1.5])}, **CONTENT}
    save_checkpoint(path, content)
    return path, path.read_bytes(), content


def is_same(found: dict, expected: dict) -> bool:
    tensors = found.pop("model")
    return (
        tensors.keys() == expected["model"].keys()
        and all(torch.equal(tensors[name], value) for name, value in expected["model"].items())
        and found == {name: value for name, value in expected.items() if name != "model"}
    )


@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_never_gives_other_weights(checkpoint, data):
    path, good, content = checkpoint
    bit = data.draw(st.integers(0, 8 * len(good) - 1))
    bad = bytearray(good)
    bad[bit // 8] ^= 1 << bit % 8
    path.write_bytes(bad)
    try:
        found = load_checkpoint(path)
    except DataError as error:
        assert str(error).startswith(f"{path}: expected a checkpoint") and "\n" not in str(error)
    else:
        assert is_same(found, content)


def test_a_flipped_bit_of_a_weight_is_told(checkpoint):
    path, good, content = checkpoint
    bad = bytearray(good)
    bad[good.index(content["model"]["a"].numpy().tobytes()) + 4] ^= 1
    path.write_bytes(bad)
    with pytest.raises(DataError, match="Bad CRC-32 for file .*data/0'.*restore it from a copy"):
        load_checkpoint(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_checkpoint_cut_short_is_told(checkpoint, data):
    path, good, _ = checkpoint
    path.write_bytes(good[: data.draw(st.integers(0, len(good) - 1))])
    with pytest.raises(DataError, match="damaged or foreign"):
        load_checkpoint(path)


def with_classes(classes):
    return dataclasses.replace(CONFIG, data=dataclasses.replace(CONFIG.data, classes=classes))


@pytest.mark.parametrize(
    "config, words",
    [
        (with_classes([*CONFIG.data.classes, "Zebra"]), f"found {len(CONFIG.data.classes)} classes, not"),
        (with_classes(CONFIG.data.classes[::-1]), "in the place of .* .class 0."),
        (
            dataclasses.replace(CONFIG, network={**CONFIG.network, "features": "mel_64_64_8"}),
            "features 'mel_64_64_8', found",
        ),
    ],
)
def test_a_checkpoint_of_other_classes_or_another_network_is_told(tmp_path, config, words):
    path, model = tmp_path / "best_model.pth", torch.nn.Linear(2, 3)
    save_checkpoint(path, {"model": model.state_dict(), **CONTENT})
    load_weights(model, path, CONFIG)
    with pytest.raises(DataError, match=words) as raised:
        load_weights(model, path, config)
    assert str(raised.value).startswith(f"{path}: ") and "\n" not in str(raised.value)


def test_what_earlier_versions_did_not_store_is_not_missed(tmp_path):
    path, model = tmp_path / "best_model.pth", torch.nn.Linear(2, 3)
    save_checkpoint(path, {"model": model.state_dict()})
    load_weights(model, path, CONFIG)
    network = {"features": CONFIG.network["features"], "of_another_version": 1}
    save_checkpoint(path, {"model": model.state_dict(), "network": network})
    load_weights(model, path, CONFIG)
