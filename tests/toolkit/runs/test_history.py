"""The record of a fold's epochs."""

import math
import re

import pytest

from ops.errors import DataError
from toolkit.runs.history import EpochResult, read_history, record_epoch


def result(epoch: int, loss: float = 0.5, lwlrap: float = 0.25) -> EpochResult:
    return EpochResult(epoch, loss, lwlrap, 1 / 3, lwlrap, 1e-4)


def test_a_row_an_epoch(tmp_path):
    path = tmp_path / "fold_0.csv"
    record_epoch(path, result(0))
    record_epoch(path, result(1, lwlrap=math.nan))
    assert path.read_text() == (
        "epoch,train_loss,train_lwlrap,valid_loss,valid_lwlrap,learning_rate\n"
        "0,0.5,0.25,0.3333333333333333,0.25,0.0001\n"
        "1,0.5,,0.3333333333333333,,0.0001\n"
    )
    first, second = read_history(path)
    assert first == result(0)
    assert second.epoch == 1 and math.isnan(second.valid_lwlrap) and second.valid_loss == 1 / 3


def test_a_repeated_epoch_replaces_its_row_and_what_came_after(tmp_path):
    path = tmp_path / "fold_0.csv"
    for epoch in (0, 1, 2):
        record_epoch(path, result(epoch))
    record_epoch(path, result(1, loss=9.0))
    assert read_history(path) == [result(0), result(1, loss=9.0)]


@pytest.mark.parametrize("value", [0.1 + 0.2, 1e-300, 5e-324, 1.7976931348623157e308, math.inf, 0.0])
def test_floats_come_back_bit_by_bit(value, tmp_path):
    for epoch in (0, 1, 2):  # rewritten with every epoch
        record_epoch(tmp_path / "h.csv", result(epoch, loss=value))
    assert [row.train_loss for row in read_history(tmp_path / "h.csv")] == [value] * 3


HEADER = "epoch,train_loss,train_lwlrap,valid_loss,valid_lwlrap,learning_rate\n"


@pytest.mark.parametrize(
    "content",
    ["", "epoch,loss\n", "{}", "\xe9", HEADER]
    + [f"{HEADER}{row}\n"
       for row in ("0,1", "x,1,1,1,1,1", "0,1,1,1,1,y", "0,1,1,1,1,1,1", "0,1,1,1,1,1\n0,1,1,1,1,1",
                   "1,1,1,1,1,1\n0,1,1,1,1,1")],
)  # fmt: skip
def test_what_is_no_record(content, tmp_path):
    path = tmp_path / "fold_0.csv"
    path.write_bytes(content.encode("latin-1"))
    if content == HEADER:
        assert read_history(path) == []  # no epoch yet
        return
    with pytest.raises(DataError, match=re.escape(str(path))) as raised:
        read_history(path)
    assert len(str(raised.value).splitlines()) == 1
