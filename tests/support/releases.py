"""Small releases of the form of FSDKaggle2019 and ESC-50, and an HTTP server that serves them badly."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import struct
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

RECORD = "/api/records/3612637"
ESC50 = "/karolpiczak/ESC-50/archive/master.zip"
FSDD = "/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip"


def wav(seed: int, samples: int = 2000) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, samples)
    soundfile.write(buffer, noise, 44100, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def zipped(files: dict[str, bytes], comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # of 1980: the same bytes at any time
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
        archive.comment = comment
    return buffer.getvalue()


def split(archive: bytes, cuts: list[int], zip64: bool = False) -> list[bytes]:
    """The parts of a split archive, as `zip -s` makes them, cut at the given positions of its entries.

    A directory entry counts from the beginning of its part; with zip64 from a zip64 field.
    """
    end = archive.rfind(b"PK\5\6")
    count, size, offset = struct.unpack_from("<H2L", archive, end + 10)
    entries = b"PK\7\x08" + archive[:offset]  # the mark of a split archive
    starts = [0, *sorted(cut for cut in set(cuts) if 0 < cut < len(entries))]

    def place(position: int) -> tuple[int, int]:
        disk = sum(start <= position for start in starts) - 1
        return disk, position - starts[disk]

    directory, position = b"", offset
    for _ in range(count):
        head = list(struct.unpack_from("<4s6H3L5H2L", archive, position))
        name_end = position + 46 + head[10]
        assert head[11] == head[12] == 0
        name = archive[position + 46 : name_end]
        extra = struct.pack("<2H2s", 0x7777, 2, b"zz")  # a field that stays
        head[13], head[16] = place(head[16] + 4)
        if zip64:
            extra += struct.pack("<2H3QL", 1, 28, head[9], head[8], head[16], head[13])
            head[8] = head[9] = head[16] = 0xFFFFFFFF
            head[13] = 0xFFFF
        head[11] = len(extra)
        directory += struct.pack("<4s6H3L5H2L", *head) + name + extra
        position = name_end
    parts = [entries[start:stop] for start, stop in zip(starts, [*starts[1:], None], strict=True)]
    last, at, size = len(parts) - 1, len(parts[-1]), len(directory)
    parts[-1] += directory
    if zip64:
        parts[-1] += struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, last, last, count, count, size, at)
        parts[-1] += struct.pack("<4sLQL", b"PK\6\7", last, at + size, last + 1)
        parts[-1] += struct.pack("<4s4H2LH", b"PK\5\6", *[0xFFFF] * 4, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    else:
        parts[-1] += struct.pack("<4s4H2LH", b"PK\5\6", last, last, count, count, size, at, 0)
    return parts


CURATED = {"c0.wav": "Bark", "c1.wav": "Meow,Run", "f76181c4.wav": "Run", "c3.wav": "Bark,Run"}
NOISY = {f"n{i}.wav": "Bark" if i % 2 else "Meow" for i in range(8)}
TEST = {"t0.wav": "Bark", "t1.wav": "Run,Meow", "t2.wav": "Meow"}


def table(labels: dict[str, str], header: str, cells: Callable[[int], str]) -> bytes:
    rows = [f'{fname},"{cell}",{cells(i)}' for i, (fname, cell) in enumerate(labels.items())]
    return "\n".join([header, *rows, ""]).encode()


def clips(folder: str, names, first_seed: int) -> dict[str, bytes]:
    """A folder of an archive, with what a Mac adds."""
    files = {f"{folder}/{name}": wav(first_seed + i) for i, name in enumerate(names)}
    return {f"{folder}/": b"", **files, f"{folder}/.DS_Store": b"x", f"__MACOSX/{folder}/._a.wav": b"x"}


def fsdkaggle2019() -> dict[str, bytes]:
    """The files of the record by name; the noisy archive in three parts."""
    prefix = "FSDKaggle2019"
    meta = {
        "train_curated": table(CURATED, "fname,labels,freesound_id,license", lambda i: f"{i + 10},CC0"),
        "train_noisy": table(NOISY, "fname,labels,flickr_video_URL,license", lambda i: f"http://f/{i},CC-BY"),
        "test": table(
            TEST,
            "fname,labels,usage,freesound_id,license",
            lambda i: f"{'Public' if i else 'Private'},{i},CC0",
        ),
    }
    files = {
        f"{prefix}.meta.zip": zipped(
            {
                **{f"{prefix}.meta/{name}_post_competition.csv": text for name, text in meta.items()},
                f"{prefix}.meta/vocabulary.csv": b"0,Bark\n1,Meow\n2,Run\n",
            }
        ),
        f"{prefix}.doc.zip": zipped(
            {f"{prefix}.doc/README.md": b"# FSD", f"{prefix}.doc/LICENSE-DATASET": b"CC"}
        ),
        f"{prefix}.audio_train_curated.zip": zipped(clips(f"{prefix}.audio_train_curated", CURATED, 0)),
        f"{prefix}.audio_test.zip": zipped(clips(f"{prefix}.audio_test", TEST, 100)),
    }
    parts = split(zipped(clips(f"{prefix}.audio_train_noisy", NOISY, 200)), [9_000, 20_000])
    suffixes = [f"z{n:02d}" for n in range(1, len(parts))] + ["zip"]
    for suffix, part in zip(suffixes, parts, strict=True):
        files[f"{prefix}.audio_train_noisy.{suffix}"] = part
    return files


def split_into_three(name: str, archive: bytes) -> dict[str, bytes]:
    parts = split(archive, [len(archive) // 3, 2 * len(archive) // 3])
    return {f"{name}.z01": parts[0], f"{name}.z02": parts[1], f"{name}.zip": parts[2]}


def fsdnoisy18k() -> dict[str, bytes]:
    """The files of record 2529934 by name; 3.wav is in the train and in the test table."""
    prefix = "FSDnoisy18k"
    train = "fname,label,aso_id,manually_verified,noisy_small\n1.wav,Rain,/m/1,1,0\n2.wav,Wind,/m/2,1,0\n"
    train += "3.wav,Rain,/m/1,0,1\n4.wav,Wind,/m/2,0,0\n5.wav,Walk_or_footsteps,/m/3,0,1\n"
    test = "fname,label,aso_id\n3.wav,Rain,/m/1\n9.wav,Wind,/m/2\n"
    meta = {f"{prefix}.meta/train.csv": train.encode(), f"{prefix}.meta/test.csv": test.encode()}
    sound = [f"{number}.wav" for number in range(1, 6)]
    return {
        f"{prefix}.meta.zip": zipped(meta),
        f"{prefix}.doc.zip": zipped({f"{prefix}.doc/LICENSE-DATASET": b"CC-BY"}),
        f"{prefix}.audio_train.zip": zipped(clips(f"{prefix}.audio_train", sound, 1)),
        f"{prefix}.audio_test.zip": zipped(clips(f"{prefix}.audio_test", ["3.wav", "9.wav"], 3)),
    }


def fsd50k() -> dict[str, bytes]:
    """The files of record 4060432 by name, its sound split; the release does not say who uploaded clip 13."""
    prefix = "FSD50K"
    dev = 'fname,labels,mids,split\n10,"Bark,Dog,Animal","/m/1,/m/2,/m/3",train\n11,Rain,/m/4,val\n'
    dev += '12,"Rain,Bark","/m/4,/m/1",train\n13,Rain,/m/4,train\n'
    evaluation = 'fname,labels,mids\n20,Rain,/m/4\n21,"Bark,Dog,Animal","/m/1,/m/2,/m/3"\n'
    uploaders = {"dev": {"10": "ann", "11": "bob", "12": "ann"}, "eval": {"20": "eve", "21": "eve"}}
    files = {f"{prefix}.ground_truth/dev.csv": dev, f"{prefix}.ground_truth/eval.csv": evaluation}
    files[f"{prefix}.ground_truth/vocabulary.csv"] = "0,Animal,/m/3\n"
    info = {
        f"{prefix}.metadata/{part}_clips_info_FSD50K.json": json.dumps(
            {number: {"title": "a", "tags": ["b"], "uploader": name} for number, name in of.items()}
        )
        for part, of in uploaders.items()
    }
    info[f"{prefix}.metadata/collection/collection_dev.csv"] = "fname,labels,mids\n"
    sound = {"dev": range(10, 14), "eval": range(20, 22)}
    archives = {
        f"{prefix}.{part}_audio": zipped(
            clips(f"{prefix}.{part}_audio", [f"{number}.wav" for number in numbers], numbers[0])
        )
        for part, numbers in sound.items()
    }
    split_archives = [split_into_three(name, archive) for name, archive in archives.items()]
    return {
        f"{prefix}.ground_truth.zip": zipped({name: text.encode() for name, text in files.items()}),
        f"{prefix}.metadata.zip": zipped({name: text.encode() for name, text in info.items()}),
        f"{prefix}.doc.zip": zipped({f"{prefix}.doc/LICENSE-DATASET": b"CC-BY"}),
        **split_archives[0],
        **split_archives[1],
    }


def arca23k() -> dict[str, bytes]:
    """The files of record 5117901 by name; its verified clips are those of fsd50k()."""
    header = "fname,label,mid\n"
    tables = {
        "ARCA23K": {
            "train": "30,Bark,/m/1\n31,Rain,/m/4\n",
            "val": "11,Rain,/m/4\n",
            "test": "20,Rain,/m/4\n",
        },
        "ARCA23K-FSD": {
            "train": "10,Bark,/m/1\n13,Rain,/m/4\n",
            "val": "11,Rain,/m/4\n12,Bark,/m/1\n",
            "test": "20,Rain,/m/4\n21,Bark,/m/1\n",
        },
    }
    truth = {
        f"{name}.ground_truth.zip": zipped(
            {f"{name}.ground_truth/{part}.csv": f"{header}{rows}".encode() for part, rows in of.items()}
        )
        for name, of in tables.items()
    }
    return {
        **truth,
        "ARCA23K.metadata.zip": zipped({"ARCA23K.metadata/metadata.json": b"{}"}),
        **split_into_three("ARCA23K.audio", zipped(clips("ARCA23K.audio", ["30.wav", "31.wav"], 30))),
        "LICENSE": b"CC-BY",
        "ATTRIBUTION": b"by whom",
    }


def esc50() -> bytes:
    rows = [f"{fold}-{10 * fold + i}-A-{i}.wav,{fold},{i},{'dog' if i else 'rain'},True,{fold}{i},A"
            for fold in range(1, 6) for i in (0, 1)]  # fmt: skip
    text = "\n".join(["filename,fold,target,category,esc10,src_file,take", *rows, ""])
    root = "ESC-50-master"
    files = {f"{root}/audio/{row.split(',')[0]}": wav(300 + i) for i, row in enumerate(rows)}
    files |= {
        f"{root}/meta/esc50.csv": text.encode(),
        f"{root}/README.md": b"# ESC-50",
        f"{root}/LICENSE": b"CC",
    }
    files[f"{root}/.github/stale.yml"] = b"x"
    return zipped(files, comment=b"33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6")


RECORDINGS = ("0_jackson_4", "0_jackson_5", "7_jackson_12", "7_george_0", "3_theo_49", "3_theo_1")


def fsdd() -> bytes:
    root = "free-spoken-digit-dataset-1.0.10"
    files = {f"{root}/recordings/{name}.wav": wav(400 + i) for i, name in enumerate(RECORDINGS)}
    files |= {f"{root}/{name}": b"x" for name in ("README.md", "metadata.py", ".gitignore", "utils/fsdd.py")}
    files |= {f"{root}/__init__.py": b"", f"{root}/utils/__init__.py": b""}
    return zipped(files)


class Answered(Exception):
    """Raised by a fault that has sent the response itself."""


@dataclass
class Server:
    """Serves `files` (path -> bytes); `faults[path]` is taken from the front, one a request.

    A fault is an HTTP status, ("drop", bytes after which the connection breaks), or a function of the
    request's handler. `requests` are (path, Range header).
    """

    files: dict[str, bytes]
    ranges: bool = True
    lengths: bool = True
    faults: dict[str, list] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def __enter__(self) -> Server:
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.answer(self)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.http.shutdown()
        self.http.server_close()

    def serve_record(self, files: dict[str, bytes], record: str = RECORD) -> None:
        """Serves files as Zenodo serves a record's; links name zenodo.org, as those of a mirror do."""
        entries = []
        for name, content in files.items():
            path = f"{record}/files/{name}/content"
            self.files[path] = content
            entries.append(
                {
                    "id": "3f2c",
                    "key": name,
                    "size": len(content),
                    "checksum": f"md5:{hashlib.md5(content).hexdigest()}",
                    "links": {"self": f"https://zenodo.org{path}"},
                }
            )
        self.files[record] = json.dumps({"id": int(record.rpartition("/")[2]), "files": entries}).encode()

    def answer(self, handler) -> None:
        path, asked = handler.path, handler.headers.get("Range")
        self.requests.append((path, asked))
        fault = self.faults[path].pop(0) if self.faults.get(path) else None
        try:
            fault = fault(handler) if callable(fault) else fault
        except Answered:
            return
        content = self.files.get(path)
        if isinstance(fault, int) or content is None:
            handler.send_error(fault if isinstance(fault, int) else 404)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.ranges else 0
        if start and start >= len(content):
            handler.send_response(416)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.lengths:
            handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        stop = start + fault[1] if isinstance(fault, tuple) else len(content)
        handler.wfile.write(content[start:stop])


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def assert_complete(folder: Path) -> None:
    for name, rows, seed in (("train_curated", CURATED, 0), ("test", TEST, 100), ("train_noisy", NOISY, 200)):
        clips = content(folder / name)
        mark = json.loads(clips.pop(".release.json"))
        assert mark["origin"] == {"data_set": "fsdkaggle2019"}
        assert clips == {fname: wav(seed + i) for i, fname in enumerate(rows)}
    assert set(os.listdir(folder)) == {
        *("train_curated", "train_noisy", "test", "fsdkaggle2019"),
        *("train_curated.csv", "train_noisy.csv", "test_truth.csv", "sample_submission.csv"),
    }


def one_line(raised) -> str:
    message = str(raised.value)
    assert len(message.splitlines()) == 1
    return message
