"""The Free Spoken Digit Dataset, laid out as the scripts expect it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import PurePosixPath

import pandas as pd

from ops.errors import DataError
from toolkit.clips.labels import make_class_map
from toolkit.download.http import RemoteFile
from toolkit.download.layout import SUBMISSION, audio_name, visible_name
from toolkit.download.releases import Release

ARCHIVE = "Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip"
RECORDING = re.compile(r"(?P<digit>\d)_(?P<speaker>[a-z]+)_(?P<number>\d+)\.wav")
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
N_TEST = 5  # recordings of each digit and speaker: numbers 0 to 4, by the release's README


def install_fsdd(release: Release, base_url: str) -> list[str]:
    """Makes the tables, with the speaker as `group`, and the folders train_curated/ and test/.

    base_url: in place of https://github.com. Returns no problems: what is there is what the tables name.
    Raises DataError naming what stands in the way.
    """
    folder, tables = "fsdd", {"train_curated": "train_curated.csv", "test": "test_truth.csv"}
    archive = [RemoteFile("free-spoken-digit-dataset-1.0.10.zip", f"{base_url}/{ARCHIVE}")]
    release.refuse_foreign_tables(folder, [*tables.values(), SUBMISSION])
    for part in tables:
        release.has(part)  # refuses what is not its own
    release.make_folder(folder, [archive], _document, "files")
    for part, name in tables.items():
        release.make_folder(part, [archive], _recordings(part))
        rows = _table(os.listdir(release.output_dir / part))
        if rows.empty:
            raise DataError(
                f"{release.output_dir / part}: expected recordings called <digit>_<speaker>_<number>.wav, "
                "found none; remove the folder, and tell the authors if the release changed"
            )
        release.write_table(name, rows)
    classes = make_class_map(rows["labels"])
    release.write_table(SUBMISSION, rows[["fname"]].assign(**dict.fromkeys(classes, 0)))
    release.discard([archive])
    return []


def _document(path: str) -> str | None:
    """Of the files beside the recordings those at the top: README and the speakers' data."""
    return visible_name(path) if len(PurePosixPath(path).parts) == 2 and not audio_name(path) else None


def _recordings(part: str) -> Callable[[str], str | None]:
    def place(path: str) -> str | None:
        match = RECORDING.fullmatch(audio_name(path) or "")
        return match[0] if match and (int(match["number"]) < N_TEST) == (part == "test") else None

    return place


def _table(fnames: list[str]) -> pd.DataFrame:
    found = [match for fname in sorted(fnames) if (match := RECORDING.fullmatch(fname))]
    rows = [(match[0], DIGITS[int(match["digit"])], match["speaker"]) for match in found]
    return pd.DataFrame(rows, columns=["fname", "labels", "group"])
