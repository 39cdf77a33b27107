"""Runs one by one in a table: results/*.csv, that benchmarks add rows to."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import torch

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]
from toolkit.clips.tables import write_table  # noqa: E402
from toolkit.runs.records import code_version, cpu_name  # noqa: E402

MADE = ["date", "commit", "machine"]
COLUMNS = ["experiment", "setting", "rotation", "seed", "metric", "value", *MADE]


def made_now() -> dict[str, str]:
    """Date, commit and machine of a run that ends now; the GPU, too, where this process used one."""
    commit, modified = code_version()
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_initialized() else ""
    return {
        "date": date.today().isoformat(),
        "commit": f"{commit[:7]}{'-modified' if modified else ''}",
        "machine": f"{cpu_name()}, {os.cpu_count()} cores{gpu}",
    }


def rows_of(
    about: dict[str, Any], result: dict[str, Any], figures: dict[str, float | None]
) -> list[dict[str, str]]:
    """A row a figure (metric -> value; without value none).

    Args:
        about: experiment, setting, rotation and seed.
        result: of a run, with what made_now told when it ended; cells are empty for what it lacks.
        figures: of the run.
    """
    made = {name: result.get(name, "") for name in MADE}
    rows = ({**about, "metric": name, "value": value, **made} for name, value in figures.items())
    return [
        {name: str(round(cell, 6) if isinstance(cell, float) else cell) for name, cell in row.items()}
        for row in rows
        if not pd.isna(row["value"])
    ]


def results_table(text: str) -> Path:
    """A flag's type: a table of results, there already or not. Raises ArgumentTypeError for another table."""
    path = Path(text)
    if path.exists() and (found := list(_read(path).columns)) != COLUMNS:
        raise argparse.ArgumentTypeError(
            f"{path}: expected the columns {','.join(COLUMNS)}, found {','.join(found)}; name another file"
        )
    return path


def add_results_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results_csv", type=results_table, help="table to add every run's figures to")


def add_rows(path: Path, rows: Iterable[dict[str, str]]) -> None:
    """Adds the rows that are not in the table yet, which is made where it is missing."""
    known = [_read(path)] if path.exists() else []
    table = pd.concat([*known, pd.DataFrame(list(rows), columns=COLUMNS)], ignore_index=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(path, table.drop_duplicates())


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        why = " ".join(str(error).split())
        raise argparse.ArgumentTypeError(f"{path}: expected a table of results ({why})") from error
