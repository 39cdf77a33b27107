"""Checkpoints: round trip, code and damage refused, weights that do not fit."""

import pytest
import torch

from ops.errors import DataError
from toolkit.runs.checkpoints import load_checkpoint, load_weights, save_checkpoint


def test_checkpoint_round_trip_and_no_temporary_left(tmp_path):
    path = tmp_path / "last.pth"
    content = {"model": {"w": torch.arange(3.0)}, "epoch": 4, "best": float("-inf")}
    save_checkpoint(path, content)
    loaded = load_checkpoint(path)
    assert torch.equal(loaded["model"]["w"], content["model"]["w"]) and loaded["epoch"] == 4
    assert [p.name for p in tmp_path.iterdir()] == ["last.pth"]


class Malicious:
    def __reduce__(self):
        return (print, ("code was run",))


def test_checkpoint_with_code_is_refused(tmp_path, capsys):
    torch.save({"model": Malicious()}, tmp_path / "bad.pth")
    with pytest.raises(DataError, match="bad.pth"):
        load_checkpoint(tmp_path / "bad.pth")
    assert "code was run" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut off"])
def test_damaged_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "bad.pth"
    path.write_bytes(content)
    with pytest.raises(DataError, match="bad.pth"):
        load_checkpoint(path)


def test_weights_of_another_network_are_refused(tmp_path):
    save_checkpoint(tmp_path / "a.pth", {"model": torch.nn.Linear(2, 3).state_dict()})
    with pytest.raises(DataError, match="do not fit"):
        load_weights(torch.nn.Linear(2, 4), tmp_path / "a.pth")
