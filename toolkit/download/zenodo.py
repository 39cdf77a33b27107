"""Records of Zenodo: their files with sizes and checksums, as its API tells them."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import quote, urlsplit

from ops.errors import DataError
from toolkit.download.http import RemoteFile, fetch_json
from toolkit.download.releases import Archive

ZENODO = "https://zenodo.org"


def record_path(record: int) -> str:
    return f"/api/records/{record}"


def archives_of_record(
    base_url: str, record: int, words: Collection[str], retries: int
) -> dict[str, Archive]:
    """Files of a record: archives by their names without .zip, or the last words of these; others by name.

    A split archive's parts are in order. base_url: in place of https://zenodo.org.
    """
    url = f"{base_url}{record_path(record)}"
    content = fetch_json(url, retries)
    try:
        files = [_remote_file(entry, base_url, record) for entry in _entries(content)]
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise DataError(
            f"{url}: expected a Zenodo record with its files, found another document ({error!r}); name a "
            "mirror with --base_url, or tell the authors if Zenodo changed"
        ) from error
    by_name = {file.name: file for file in files}
    archives = {}
    for word in words:
        if word in by_name:
            archives[word] = [by_name[word]]
            continue
        last = [name for name in by_name if name == f"{word}.zip" or name.endswith(f".{word}.zip")]
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


def _remote_file(entry: dict[str, Any], base_url: str, record: int) -> RemoteFile:
    name, size = entry["key"], entry["size"]
    if os.path.basename(name) != name or name.startswith(".") or type(size) is not int or size < 0:
        raise ValueError(f"a file called {name!r} of {size!r} bytes")
    checksum = entry["checksum"]
    if not re.fullmatch(r"(md5|sha1|sha256|sha512):[0-9a-fA-F]+", checksum):
        raise ValueError(f"a checksum {checksum!r}")
    link = entry.get("links", {}).get("self") or f"{record_path(record)}/files/{quote(name)}/content"
    parts = urlsplit(link)  # of its address the path only, so that a mirror serves everything
    return RemoteFile(
        name, f"{base_url}{parts.path}{'?' + parts.query if parts.query else ''}", size, checksum
    )
