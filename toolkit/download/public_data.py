"""Public data sets, laid out as the scripts expect them: FSDKaggle2019 and ESC-50."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

import pandas as pd

from ops.errors import DataError
from toolkit.clips.labels import make_class_map
from toolkit.clips.tables import read_table
from toolkit.download.http import RemoteFile, fetch_json
from toolkit.download.releases import Archive, Release
from toolkit.system import console

ZENODO, RECORD = "https://zenodo.org", 3612637
GITHUB, ESC50_ARCHIVE = "https://github.com", "karolpiczak/ESC-50/archive/master.zip"
AUDIO = (".wav", ".flac", ".ogg", ".mp3")

# FSDKaggle2019's parts: folder -> ending of the archive's name, table as released, table as written.
FSDKAGGLE2019 = {
    "train_curated": ("audio_train_curated", "train_curated_post_competition.csv", "train_curated.csv"),
    "train_noisy": ("audio_train_noisy", "train_noisy_post_competition.csv", "train_noisy.csv"),
    "test": ("audio_test", "test_post_competition.csv", "test_truth.csv"),
}
SUBMISSION = "sample_submission.csv"


def install_fsdkaggle2019(release: Release, base_url: str, parts: Sequence[str]) -> list[str]:
    """Makes the tables and the parts' folders; gives a line for each table that names lacking clips.

    base_url: in place of https://zenodo.org. Raises DataError naming what stands in the way.
    """
    folder = "fsdkaggle2019"
    release.refuse_foreign_tables(folder, [*(table for *_, table in FSDKAGGLE2019.values()), SUBMISSION])
    todo = [part for part in parts if not release.has(part)]
    archives: dict[str, Archive] = {}
    if todo or not release.has(folder):
        archives = _archives_of_record(base_url, release.retries)
        wanted = [archives[FSDKAGGLE2019[part][0]] for part in todo]
        console.note(f"to download: {sum(f.size or 0 for a in wanted for f in a) / 1e9:.3g} GB of clips")
        documents = [archives["meta"], archives["doc"]]
        release.make_folder(folder, documents, _visible_name, "files")
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
        release.make_folder(part, [archive], _audio_name)
        release.discard([archive])
    return [line for part in parts for line in _lacking(release.output_dir, part, tables[part])]


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
        folder, [archive], lambda path: None if _audio_name(path) else _visible_name(path), "files"
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
        fnames = set(rows["fname"])
        release.make_folder(part, [archive], lambda path, of=fnames: _chosen(_audio_name(path), of))
        problems += _lacking(release.output_dir, part, rows)
        if part == "test":
            classes = make_class_map(table["labels"])
            release.write_table(SUBMISSION, rows[["fname"]].assign(**dict.fromkeys(classes, 0)))
    release.discard([archive])
    return problems


def _with_training_folds(rows: pd.DataFrame) -> pd.DataFrame:
    """The released folds as `esc50_fold`, and `fold` counted from 0, as training takes given folds."""
    numbers = {released: number for number, released in enumerate(sorted(set(rows["fold"])))}
    return rows.assign(fold=rows["fold"].map(numbers), esc50_fold=rows["fold"])


def _archives_of_record(base_url: str, retries: int) -> dict[str, Archive]:
    """The archives of Zenodo's record by the last word of their names; a split one's parts in order."""
    url = f"{base_url}/api/records/{RECORD}"
    record = fetch_json(url, retries)
    try:
        files = [_remote_file(entry, base_url) for entry in _entries(record)]
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DataError(
            f"{url}: expected a Zenodo record with its files, found another document ({error!r}); name a "
            "mirror with --base_url, or tell the authors if Zenodo changed"
        ) from error
    by_name = {file.name: file for file in files}
    archives = {}
    for word in ("meta", "doc", *(ending for ending, *_ in FSDKAGGLE2019.values())):
        last = [name for name in by_name if name.endswith(f".{word}.zip")]
        if len(last) != 1:
            raise DataError(
                f"{url}: expected one file *.{word}.zip, found {', '.join(sorted(by_name)) or 'none'}"
            )
        stem = last[0].removesuffix(".zip")
        numbers = sorted(
            int(match[1])
            for name in by_name
            if (match := re.fullmatch(re.escape(stem) + r"\.z(\d\d+)", name))
        )
        if numbers != [*range(1, len(numbers) + 1)]:
            raise DataError(
                f"{url}: expected the parts of {last[0]} without gaps, found the numbers {numbers}"
            )
        archives[word] = [*(by_name[f"{stem}.z{n:02d}"] for n in numbers), by_name[last[0]]]
    return archives


def _entries(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Zenodo lists a record's files in one place, InvenioRDM, on which it runs, in another."""
    files = record["files"]
    entries = files if isinstance(files, list) else files["entries"]
    return entries if isinstance(entries, list) else [*entries.values()]


def _remote_file(entry: dict[str, Any], base_url: str) -> RemoteFile:
    name, size = entry["key"], entry["size"]
    if os.path.basename(name) != name or name.startswith(".") or type(size) is not int or size < 0:
        raise ValueError(f"a file called {name!r} of {size!r} bytes")
    checksum = entry["checksum"]
    if not re.fullmatch(r"(md5|sha1|sha256|sha512):[0-9a-fA-F]+", checksum):
        raise ValueError(f"a checksum {checksum!r}")
    link = entry.get("links", {}).get("self") or f"/api/records/{RECORD}/files/{quote(name)}/content"
    parts = urlsplit(link)  # of its address the path only, so that a mirror serves everything
    return RemoteFile(
        name, f"{base_url}{parts.path}{'?' + parts.query if parts.query else ''}", size, checksum
    )


def _visible_name(path: str) -> str | None:
    """The last part of a path in an archive; None for what is hidden."""
    parts = PurePosixPath(path).parts
    if any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return None
    return parts[-1]


def _audio_name(path: str) -> str | None:
    name = _visible_name(path)
    return name if name and name.lower().endswith(AUDIO) else None


def _chosen(name: str | None, of: set[str]) -> str | None:
    return name if name in of else None


def _lacking(output_dir: Path, part: str, table: pd.DataFrame) -> list[str]:
    there = set(os.listdir(output_dir / part))
    lacking = [fname for fname in table["fname"] if fname not in there]
    if not lacking:
        return []
    return [
        f"{output_dir / part}: the release lacks {len(lacking)} of the {len(table)} clips of its table "
        f"(first {lacking[0]!r}); remove their rows before training"
    ]
