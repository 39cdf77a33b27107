"""A fold's record of its epochs, history/fold_<k>.csv: a row an epoch, whole at every moment."""

from __future__ import annotations

import csv
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import pandas as pd

from ops.errors import DataError
from toolkit.clips.tables import write_table
from toolkit.system.files import check_sum


@dataclass(frozen=True)
class EpochResult:
    """What training and validation found in an epoch; the rate is that of its last step.

    seconds: by the clock, of its training and validation; of a resumed epoch since then. NaN in records of
    older versions.
    """

    epoch: int
    train_loss: float
    train_lwlrap: float
    valid_loss: float
    valid_lwlrap: float
    learning_rate: float
    seconds: float


COLUMNS = [field.name for field in fields(EpochResult)]
COLUMNS_WITHOUT_SECONDS = [name for name in COLUMNS if name != "seconds"]  # those of older versions


def record_epoch(path: str | Path, result: EpochResult) -> None:
    """Adds an epoch's row. Rows of this or later epochs go: a killed run had written, not saved them."""
    earlier = [row for row in read_history(path) if row.epoch < result.epoch] if Path(path).exists() else []
    write_table(
        path, pd.DataFrame([asdict(row) for row in [*earlier, result]], columns=COLUMNS), with_sum=True
    )


def read_history(path: str | Path) -> list[EpochResult]:
    """The epochs of a record, floats bit by bit as they were written; NaN where there was no metric.

    Raises DataError where the file is missing, no record or changed since it was written, or an epoch does
    not follow on the others.
    """
    expected = f"a record of epochs, a CSV table with the columns {', '.join(COLUMNS)}"
    check_sum(path)
    try:
        with open(path, newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file, strict=True)) or [[]]
        if header not in (COLUMNS, COLUMNS_WITHOUT_SECONDS):
            raise ValueError(f"the columns {','.join(header)[:80]!r}")
        results = [_parse(dict(zip(header, row, strict=True))) for row in rows]
    except OSError as error:
        raise DataError(f"{path}: expected {expected}, but it cannot be read ({error.strerror})") from error
    except (csv.Error, ValueError) as error:
        raise DataError(
            f"{path}: expected {expected}, found {error}; restore the file, or remove it to go on without "
            "the earlier epochs"
        ) from error
    epochs = [row.epoch for row in results]
    if epochs != sorted(set(epochs)):
        raise DataError(f"{path}: expected {expected}, each epoch once and in order, found {epochs}")
    return results


def _parse(cells: dict[str, str]) -> EpochResult:
    numbers = {name: float(cell) if cell else math.nan for name, cell in cells.items() if name != "epoch"}
    return EpochResult(int(cells["epoch"]), **{"seconds": math.nan, **numbers})
