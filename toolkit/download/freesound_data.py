"""FSDnoisy18k, ARCA23K and FSD50K, laid out as the scripts expect them: curated, noisy and test clips.

Records and their files: FSDnoisy18k, Fonseca et al. 2019, arXiv:1901.01189; ARCA23K, Iqbal et al. 2021,
arXiv:2109.09227, whose verified clips are FSD50K's; FSD50K, Fonseca et al. 2022, arXiv:2010.00475.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ops.errors import DataError
from toolkit.clips.cells import join_labels
from toolkit.clips.labels import make_class_map
from toolkit.clips.tables import read_table
from toolkit.download.layout import SUBMISSION, audio_among, lacking_clips, visible_path
from toolkit.download.releases import Archive, Release
from toolkit.download.zenodo import archives_of_record
from toolkit.system import console
from toolkit.system.files import read_json

FSDNOISY18K, ARCA23K, FSD50K = 2529934, 5117901, 4060432  # records on Zenodo
TABLES = {"test": "test_truth.csv"}  # of the other parts <part>.csv


@dataclass(frozen=True)
class Part:
    """A folder of clips.

    Attributes:
        record, archive: where its clips are, with perhaps others.
        rows: the folder of the release's documents -> the part's table, fname,labels and further columns.
    """

    record: int
    archive: str
    rows: Callable[[Path], pd.DataFrame]


@dataclass(frozen=True)
class DataSet:
    """documents: (record, archive or other file) of all but sound."""

    documents: Sequence[tuple[int, str]]
    parts: Mapping[str, Part]


def _fsdnoisy18k(verified: str) -> Callable[[Path], pd.DataFrame]:
    """Clips of the train table whose labels people have verified, "1", or not, "0"."""

    def rows(documents: Path) -> pd.DataFrame:
        path = documents / "FSDnoisy18k.meta" / "train.csv"
        table = _of_one_label(read_table(path, ["fname", "label", "manually_verified"], all_columns=True))
        unexpected = set(table["manually_verified"]) - {"0", "1"}
        if unexpected:
            raise DataError(f"{path}: expected manually_verified to be 0 or 1, found {min(unexpected)!r}")
        return table[table["manually_verified"] == verified]

    return rows


def _fsdnoisy18k_test(documents: Path) -> pd.DataFrame:
    path = documents / "FSDnoisy18k.meta" / "test.csv"
    return _of_one_label(read_table(path, ["fname", "label"], all_columns=True))


def _arca23k(name: str, subset: str | None) -> Callable[[Path], pd.DataFrame]:
    """A table of ARCA23K; subset: of FSD50K, whose clips it names."""

    def rows(documents: Path) -> pd.DataFrame:
        table = read_table(documents / name, ["fname", "label"], all_columns=True)
        table = _of_one_label(_with_endings(table))
        return _with_uploaders(table, documents, subset) if subset else table

    return rows


def _fsd50k(subset: str) -> Callable[[Path], pd.DataFrame]:
    def rows(documents: Path) -> pd.DataFrame:
        path = documents / "FSD50K.ground_truth" / f"{subset}.csv"
        table = _with_endings(read_table(path, ["fname", "labels"], all_columns=True))
        return _with_uploaders(table, documents, subset)

    return rows


def _of_one_label(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(columns={"label": "labels"}).assign(
        labels=[join_labels([label]) for label in table["label"]]
    )


def _with_endings(table: pd.DataFrame) -> pd.DataFrame:
    """Clips by their files' names: FSD50K and ARCA23K name them by their numbers on Freesound."""
    return table.assign(fname=table["fname"] + ".wav")


def _with_uploaders(table: pd.DataFrame, documents: Path, subset: str) -> pd.DataFrame:
    """The column `group`: who uploaded a clip; empty where the release does not say."""
    path = documents / "FSD50K.metadata" / f"{subset}_clips_info_FSD50K.json"
    expected = "an object of clips by number, each with its uploader"
    clips: Any = read_json(path, expected)
    if not isinstance(clips, dict) or not all(isinstance(clip, dict) for clip in clips.values()):
        raise DataError(f"{path}: expected {expected}, found something else")
    numbers = table["fname"].str.removesuffix(".wav")
    return table.assign(group=[str(clips.get(number, {}).get("uploader", "")) for number in numbers])


DATA_SETS = {
    "fsdnoisy18k": DataSet(
        [(FSDNOISY18K, "FSDnoisy18k.meta"), (FSDNOISY18K, "FSDnoisy18k.doc")],
        {
            "train_curated": Part(FSDNOISY18K, "FSDnoisy18k.audio_train", _fsdnoisy18k("1")),
            "train_noisy": Part(FSDNOISY18K, "FSDnoisy18k.audio_train", _fsdnoisy18k("0")),
            "test": Part(FSDNOISY18K, "FSDnoisy18k.audio_test", _fsdnoisy18k_test),
        },
    ),
    "arca23k": DataSet(
        [
            (ARCA23K, "ARCA23K.ground_truth"),
            (ARCA23K, "ARCA23K-FSD.ground_truth"),
            (ARCA23K, "ARCA23K.metadata"),
            (ARCA23K, "LICENSE"),
            (ARCA23K, "ATTRIBUTION"),
            (FSD50K, "FSD50K.metadata"),
            (FSD50K, "FSD50K.doc"),
        ],
        {
            "train_curated": Part(
                FSD50K, "FSD50K.dev_audio", _arca23k("ARCA23K-FSD.ground_truth/val.csv", "dev")
            ),
            "train_verified": Part(
                FSD50K, "FSD50K.dev_audio", _arca23k("ARCA23K-FSD.ground_truth/train.csv", "dev")
            ),
            "train_noisy": Part(ARCA23K, "ARCA23K.audio", _arca23k("ARCA23K.ground_truth/train.csv", None)),
            "test": Part(FSD50K, "FSD50K.eval_audio", _arca23k("ARCA23K-FSD.ground_truth/test.csv", "eval")),
        },
    ),
    "fsd50k": DataSet(
        [(FSD50K, "FSD50K.ground_truth"), (FSD50K, "FSD50K.metadata"), (FSD50K, "FSD50K.doc")],
        {
            "train_curated": Part(FSD50K, "FSD50K.dev_audio", _fsd50k("dev")),
            "test": Part(FSD50K, "FSD50K.eval_audio", _fsd50k("eval")),
        },
    ),
}


def install_freesound_data(release: Release, base_url: str, name: str, parts: Sequence[str]) -> list[str]:
    """Makes the tables of a data set and the folders of the parts; gives a line for each that lacks clips.

    base_url: in place of https://zenodo.org. Raises DataError naming what stands in the way.
    """
    data_set = DATA_SETS[name]
    written = {part: TABLES.get(part, f"{part}.csv") for part in data_set.parts}
    release.refuse_foreign_tables(name, [*written.values(), SUBMISSION])
    todo = [part for part in parts if not release.has(part)]
    archives: dict[str, Archive] = {}
    if todo or not release.has(name):
        archives = _archives(data_set, base_url, release.retries)
        wanted = {data_set.parts[part].archive: archives[data_set.parts[part].archive] for part in todo}
        size = sum(file.size or 0 for archive in wanted.values() for file in archive)
        console.note(f"to download: {size / 1e9:.3g} GB of clips")
        documents = [archives[key] for _, key in data_set.documents]
        release.make_folder(name, documents, visible_path, "files")
        release.discard(documents)
    tables = {part: of.rows(release.output_dir / name) for part, of in data_set.parts.items()}
    tables = _without_test_clips(tables)
    for part, table in tables.items():
        release.write_table(written[part], table)
    classes = make_class_map(tables["train_curated"]["labels"])
    release.write_table(SUBMISSION, tables["test"][["fname"]].assign(**dict.fromkeys(classes, 0)))
    for number, part in enumerate(todo):
        archive = data_set.parts[part].archive
        release.make_folder(part, [archives[archive]], audio_among(tables[part]["fname"]))
        if archive not in {data_set.parts[later].archive for later in todo[number + 1 :]}:
            release.discard([archives[archive]])
    return [line for part in parts for line in lacking_clips(release.output_dir, part, tables[part])]


def _archives(data_set: DataSet, base_url: str, retries: int) -> dict[str, Archive]:
    """What the data set is made of, by name, from all of its records."""
    wanted = [*data_set.documents, *((part.record, part.archive) for part in data_set.parts.values())]
    found: dict[str, Archive] = {}
    for record in dict.fromkeys(record for record, _ in wanted):
        names = dict.fromkeys(name for of, name in wanted if of == record)
        found |= archives_of_record(base_url, record, names, retries)
    return found


def _without_test_clips(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Training tables without the clips that the release has in its test table, too; says how many."""
    tested = set(tables["test"]["fname"])
    for part, table in tables.items():
        both = table["fname"].isin(tested)
        if part != "test" and both.any():
            first = table["fname"][both].iloc[0]
            console.note(
                f"note: {both.sum()} clips of {part} are test clips, too (first {first!r}): not trained on"
            )
            tables[part] = table[~both]
    return tables
