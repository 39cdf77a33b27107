"""Public data sets, laid out as the scripts expect them: FSDKaggle2019 and ESC-50."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from ops.errors import DataError
from toolkit.clips.labels import make_class_map
from toolkit.clips.tables import read_table
from toolkit.download.http import RemoteFile
from toolkit.download.layout import SUBMISSION, audio_among, audio_name, lacking_clips, visible_name
from toolkit.download.releases import Archive, Release
from toolkit.download.zenodo import archives_of_record
from toolkit.system import console

RECORD = 3612637  # of FSDKaggle2019 on Zenodo
GITHUB, ESC50_ARCHIVE = "https://github.com", "karolpiczak/ESC-50/archive/master.zip"

# FSDKaggle2019's parts: folder -> ending of the archive's name, table as released, table as written.
FSDKAGGLE2019 = {
    "train_curated": ("audio_train_curated", "train_curated_post_competition.csv", "train_curated.csv"),
    "train_noisy": ("audio_train_noisy", "train_noisy_post_competition.csv", "train_noisy.csv"),
    "test": ("audio_test", "test_post_competition.csv", "test_truth.csv"),
}


def install_fsdkaggle2019(release: Release, base_url: str, parts: Sequence[str]) -> list[str]:
    """Makes the tables and the parts' folders; gives a line for each table that names lacking clips.

    base_url: in place of https://zenodo.org. Raises DataError naming what stands in the way.
    """
    folder = "fsdkaggle2019"
    release.refuse_foreign_tables(folder, [*(table for *_, table in FSDKAGGLE2019.values()), SUBMISSION])
    todo = [part for part in parts if not release.has(part)]
    archives: dict[str, Archive] = {}
    if todo or not release.has(folder):
        words = ["meta", "doc", *(ending for ending, *_ in FSDKAGGLE2019.values())]
        archives = archives_of_record(base_url, RECORD, words, release.retries)
        wanted = [archives[FSDKAGGLE2019[part][0]] for part in todo]
        console.note(f"to download: {sum(f.size or 0 for a in wanted for f in a) / 1e9:.3g} GB of clips")
        documents = [archives["meta"], archives["doc"]]
        release.make_folder(folder, documents, visible_name, "files")
        release.discard(documents)
    tables = {
        part: read_table(release.output_dir / folder / name, ["fname", "labels"], all_columns=True)
        for part, (_, name, _) in FSDKAGGLE2019.items()
    }
    for part, (_, _, name) in FSDKAGGLE2019.items():
        release.write_table(name, tables[part])
    classes = make_class_map(tables["train_curated"]["labels"])
    release.write_table(SUBMISSION, tables["test"][["fname"]].assign(**dict.fromkeys(classes, 0)))
    for part in todo:
        archive = archives[FSDKAGGLE2019[part][0]]
        release.make_folder(part, [archive], audio_name)
        release.discard([archive])
    return [line for part in parts for line in lacking_clips(release.output_dir, part, tables[part])]


def install_esc50(
    release: Release, base_url: str, curated_folds: Sequence[int], test_folds: Sequence[int]
) -> list[str]:
    """Makes the tables, with columns `fold` and `group`, and the folders train_curated/ and test/ of ESC-50.

    base_url: in place of https://github.com. Raises DataError naming what stands in the way.
    """
    folder, meta = "esc50", "esc50.csv"
    archive = [RemoteFile("ESC-50-master.zip", f"{base_url}/{ESC50_ARCHIVE}")]
    release.refuse_foreign_tables(folder, ["train_curated.csv", "test_truth.csv", SUBMISSION])
    for part in ("train_curated", "test"):
        release.has(part)  # refuses what is not its own
    release.make_folder(
        folder, [archive], lambda path: None if audio_name(path) else visible_name(path), "files"
    )
    table = read_table(release.output_dir / folder / meta, ["filename", "category", "fold"], all_columns=True)
    table = table.rename(columns={"filename": "fname", "category": "labels"})
    # Clips of one recording: 1-100032-A-0.wav is take A of clip 100032 on Freesound.
    table["group"] = table["fname"].str.split("-").str[1].fillna("")
    unknown = {*map(str, [*curated_folds, *test_folds])} - set(table["fold"])
    if unknown:
        raise DataError(
            f"{release.output_dir / folder / meta}: expected fold {min(unknown)}, found only "
            f"{', '.join(sorted(set(table['fold'])))}; give others to --curated_folds and --test_folds"
        )
    problems = []
    for part, name, folds in (
        ("train_curated", "train_curated.csv", curated_folds),
        ("test", "test_truth.csv", test_folds),
    ):
        rows = table[table["fold"].isin([*map(str, folds)])]
        release.write_table(name, rows if part == "test" else _with_training_folds(rows))
        release.make_folder(part, [archive], audio_among(rows["fname"]))
        problems += lacking_clips(release.output_dir, part, rows)
        if part == "test":
            classes = make_class_map(table["labels"])
            release.write_table(SUBMISSION, rows[["fname"]].assign(**dict.fromkeys(classes, 0)))
    release.discard([archive])
    return problems


def _with_training_folds(rows: pd.DataFrame) -> pd.DataFrame:
    """The released folds as `esc50_fold`, and `fold` counted from 0, as training takes given folds."""
    numbers = {released: number for number, released in enumerate(sorted(set(rows["fold"])))}
    return rows.assign(fold=rows["fold"].map(numbers), esc50_fold=rows["fold"])
