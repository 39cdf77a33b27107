"""Files over HTTP: continued where a connection broke, compared with their checksums, whole or not there."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.errors import DataError
from toolkit.system.console import Bar, progress, warn
from toolkit.system.files import disk_errors

CHUNK = 1 << 18  # bytes
MAX_DOCUMENT = 16 << 20  # bytes of metadata
TIMEOUT = 60  # seconds without a byte
BACKOFF = 1.0  # seconds before the second try; doubled while tries bring nothing new
LONGEST_WAIT = 120  # seconds, also where a server asks for more
TRANSIENT = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses worth another try
ADVICE = "check the connection, or name a mirror with --base_url, then run again"


@dataclass(frozen=True)
class RemoteFile:
    """A file to fetch; size in bytes and checksum ("md5:<hex>") as far as its publisher tells them."""

    name: str
    url: str
    size: int | None = None
    checksum: str | None = None


class _Broken(Exception):
    """A try that failed in a way that the next one may not; `wait` seconds where the server named them."""

    def __init__(self, reason: object, wait: float = 0):
        super().__init__(str(reason) or type(reason).__name__)
        self.wait = wait


def fetch(file: RemoteFile, folder: Path, retries: int) -> Path:
    """folder/<name>, downloaded unless it is there; `<name>.part` until it is whole and verified.

    Raises DataError after `retries` tries in a row that brought nothing new, at once where the server
    refuses, where the content is not the published one (then it is tried once more from the start),
    and where the disk is full.
    """
    target = folder / file.name
    if target.exists():
        wrong = _mismatch(file, target)
        if wrong:
            raise DataError(f"{target}: {wrong}; remove this file, then run again to download it")
        return target
    part = target.with_name(target.name + ".part")
    for is_last in (False, True):
        _receive_all(file, part, retries)
        wrong = _mismatch(file, part)
        if not wrong:
            break
        part.unlink()
        if is_last:
            raise DataError(
                f"{file.url}: {wrong}, twice; the file was removed. Run again later, or name a mirror with "
                "--base_url"
            )
        warn(f"{file.name}: {wrong}; downloading it again from the start")
    with disk_errors(target):
        part.replace(target)
    return target


def fetch_json(url: str, retries: int) -> Any:
    """A JSON document. Raises DataError as `fetch` does, where it is no JSON, and where it is too long."""

    def receive() -> bytes:
        content = bytearray()
        with _open(url, 0) as response:
            length = response.headers.get("Content-Length", "")
            while chunk := _read(response):
                content += chunk
                if len(content) > MAX_DOCUMENT:
                    raise DataError(
                        f"{url}: expected a JSON document of at most {MAX_DOCUMENT} bytes, the server "
                        f"sends more; {ADVICE}"
                    )
        if length.isdecimal() and len(content) != int(length):
            raise _Broken(f"the connection ended after {len(content)} of {length} bytes")
        return bytes(content)

    content = _tried(url, receive, retries, lambda: 0)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{url}: expected JSON, found no valid one ({error}); {ADVICE}") from error


def _receive_all(file: RemoteFile, part: Path, retries: int) -> None:
    def held() -> int:
        return part.stat().st_size if part.exists() else 0

    if file.size is not None and held() > file.size:
        part.unlink()
    with progress(
        total=file.size,
        initial=held(),
        desc=file.name,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
    ) as bar:
        _tried(file.url, lambda: _receive(file, part, held(), bar), retries, held)


def _tried(url: str, receive, retries: int, held) -> Any:
    """receive(), repeated while it breaks; tries that leave more than ever in held() do not count."""
    failures, most = 0, held()
    while True:
        try:
            return receive()
        except _Broken as error:
            failures = 0 if held() > most else failures + 1
            most = max(most, held())
            if failures > retries:
                raise DataError(
                    f"{url}: cannot be downloaded ({error}; {failures} tries); {ADVICE} to go on"
                ) from error
            wait = min(max(BACKOFF * 2 ** max(0, failures - 1), error.wait), LONGEST_WAIT)
            warn(f"{url}: {error}; trying again in {wait:.3g} s")
            time.sleep(wait)


def _receive(file: RemoteFile, part: Path, held: int, bar: Bar) -> None:
    """Appends to `part` what it lacks, or writes it anew where the server sends the whole file."""
    if held and held == file.size:
        return
    with _open(file.url, held) as response:
        if response is None:  # nothing behind what is there, or the file is another one now
            if file.size is None:
                return
            part.unlink()
            raise _Broken("the server has no more bytes of it")
        length = response.headers.get("Content-Length")
        start = held if response.status == 206 else 0
        if start and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            part.unlink()
            raise _Broken(f"asked for bytes from {start} on, got {response.headers.get('Content-Range')!r}")
        total = start + int(length) if (length or "").isdecimal() else None
        if file.size is not None and total is not None and total != file.size:
            raise DataError(
                f"{file.url}: expected {file.size} bytes, the server offers {total}; is it a login or "
                f"error page? {ADVICE}"
            )
        total = total if total is not None else file.size
        bar.reset(total)
        bar.update(start)
        with disk_errors(part), open(part, "ab" if start else "wb") as output:
            count = start
            while chunk := _read(response):
                if total is not None and count + len(chunk) > total:
                    break  # nothing is written past the size
                output.write(chunk)
                count += len(chunk)
                bar.update(len(chunk))
        if chunk:
            part.unlink()
            raise DataError(
                f"{file.url}: expected {total} bytes, the server sends more; is it a login or error page? "
                f"{ADVICE}"
            )
    if total is not None and count != total:
        raise _Broken(f"the connection ended after {count} of {total} bytes")


def _open(url: str, start: int):
    """The response to a request of the bytes from `start` on; a context of None where there are none."""
    headers = {"User-Agent": "download_data.py", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:
            return _Nothing()
        reason = f"HTTP {error.code} {error.reason}"
        if error.code in TRANSIENT:
            wait = error.headers.get("Retry-After", "")
            raise _Broken(reason, float(wait) if wait.isdecimal() else 0) from None
        raise DataError(f"{url}: the server refuses it ({reason}); {ADVICE}") from None
    except urllib.error.URLError as error:
        raise _Broken(error.reason) from None
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(error) from None


class _Nothing:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_) -> None:
        pass


def _read(response) -> bytes:
    try:
        return response.read(CHUNK)
    except http.client.IncompleteRead as error:
        raise _Broken("the connection ended in the middle") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(error) from error


def _mismatch(file: RemoteFile, path: Path) -> str | None:
    """How the file at `path` differs from the published one; None where it does not."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return f"expected {file.size} bytes, found {size}"
    if file.checksum is None:
        return None
    name, _, expected = file.checksum.partition(":")
    digest = hashlib.new(name, usedforsecurity=False)
    with (
        open(path, "rb") as content,
        progress(total=size, desc=f"checking {file.name}", unit="B", unit_scale=True) as bar,
    ):
        while chunk := content.read(1 << 20):
            digest.update(chunk)
            bar.update(len(chunk))
    if digest.hexdigest() != expected.lower():
        return f"expected {name} {expected}, found {digest.hexdigest()}"
    return None
