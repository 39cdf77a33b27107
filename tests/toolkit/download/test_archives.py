"""Split archives read through, unpacked whole; what is unsafe or damaged refused."""

import io
import shutil
import stat
import struct
import subprocess
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.errors import DataError
from releases import split, zipped
from toolkit.download.archives import DamagedArchive, JoinedFiles, open_archive, unpack

NOISE = np.random.default_rng(0).bytes(90_000)
FILES = {"a/one.wav": NOISE, "a/two.wav": b"2" * 5000, "a/empty.wav": b"", "three.wav": NOISE[:3]}


def written(folder, parts: list[bytes]):
    paths = []
    for number, part in enumerate(parts, start=1):
        suffix = "zip" if number == len(parts) else f"z{number:02d}"
        paths.append(folder / f"x.{suffix}")
        paths[-1].write_bytes(part)
    return paths


def by_zip_tool(folder):
    """A split archive made by Info-ZIP's `zip -s`, whose parts have at least 64 KiB."""
    for name, content in FILES.items():
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / name).write_bytes(content)
    subprocess.run(["zip", "-q", "-r", "-s", "64k", "../x.zip", *FILES], cwd=folder / "in", check=True)
    return [*sorted(folder.glob("x.z0*")), folder / "x.zip"]


MAKERS = {
    "one": lambda folder: written(folder, [zipped(FILES)]),
    "three": lambda folder: written(folder, split(zipped(FILES), [10, 60_000])),
    "three_zip64": lambda folder: written(folder, split(zipped(FILES), [10, 60_000], zip64=True)),
    "twelve": lambda folder: written(folder, split(zipped(FILES), [7_919 * n for n in range(1, 12)])),
    **({"zip_tool": by_zip_tool} if shutil.which("zip") else {}),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_unpacked_files_are_those_that_went_in(maker, tmp_path):
    parts = MAKERS[maker](tmp_path)
    assert (len(parts) == 1) == (maker == "one")
    out = tmp_path / "out"
    out.mkdir()
    with open_archive(parts) as archive:
        assert archive.testzip() is None
        names = unpack(archive, out, lambda path: path if path.endswith(".wav") else None)
    assert sorted(names) == sorted(FILES)
    assert {name: (out / name).read_bytes() for name in names} == FILES


@settings(max_examples=60, deadline=None)
@given(
    contents=st.lists(st.binary(max_size=300), min_size=1, max_size=6),
    cuts=st.lists(st.integers(1, 2500), max_size=6),
    zip64=st.booleans(),
)
def test_any_cuts_give_the_same_files(contents, cuts, zip64, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cuts")
    files = {f"{n}.bin": content for n, content in enumerate(contents)}
    parts = written(folder, split(zipped(files), cuts, zip64))
    with open_archive(parts if len(parts) > 1 else [*parts]) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == files


@settings(max_examples=100, deadline=None)
@given(pieces=st.lists(st.binary(max_size=9), max_size=5), seed=st.integers(0, 2**32 - 1))
def test_joined_files_read_like_their_bytes(pieces, seed):
    expected = io.BytesIO(b"".join(pieces))
    joined = io.BufferedReader(JoinedFiles([(io.BytesIO(p), len(p)) for p in pieces]), buffer_size=4)
    rng = np.random.default_rng(seed)
    for _ in range(8):
        position, size = (int(n) for n in rng.integers(0, 50, 2))
        assert joined.seek(position) == expected.seek(position)
        assert joined.read(size) == expected.read(size)
        assert joined.tell() == expected.tell()
    assert joined.seek(0, io.SEEK_END) == expected.seek(0, io.SEEK_END)


def test_entries_behind_four_gigabytes(tmp_path):
    """As the noisy clips' archive has: positions that need 64 bits only once the parts are joined."""
    parts = [tmp_path / "x.z01", tmp_path / "x.zip"]
    with open(parts[0], "wb") as file:
        file.truncate(5 * 2**30)  # sparse
    second = bytearray(zipped({"a.wav": NOISE[:999]}))
    struct.pack_into("<H", second, second.rfind(b"PK\1\2") + 34, 1)  # its entry begins in the second part
    struct.pack_into("<2H", second, second.rfind(b"PK\5\6") + 4, 1, 1)
    parts[1].write_bytes(second)
    with open_archive(parts) as archive:
        assert archive.infolist()[0].header_offset == 5 * 2**30
        assert unpack(archive, tmp_path, lambda path: path) == ["a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == NOISE[:999]


def test_missing_parts_are_told(tmp_path):
    parts = MAKERS["three"](tmp_path)
    with pytest.raises(DataError, match="expected the last of 3 parts.*found 2 parts"):
        with open_archive(parts[1:]):
            pass


@pytest.mark.parametrize("content", [b"", b"<html>", zipped(FILES)[:-30], NOISE])
@pytest.mark.parametrize("n_parts", [1, 2])
def test_what_is_no_archive(content, n_parts, tmp_path):
    parts = written(tmp_path, [b"PK\7\x08"] * (n_parts - 1) + [content])
    with pytest.raises(DamagedArchive, match="expected a zip archive, found no valid one") as raised:
        with open_archive(parts):
            pass
    assert str(parts[-1]) in str(raised.value) and len(str(raised.value).splitlines()) == 1


@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, 400), value=st.integers(0, 255))
def test_a_damaged_directory_gives_one_line_or_the_right_files(position, value, tmp_path_factory):
    folder = tmp_path_factory.mktemp("damage")
    parts = split(zipped({"a.wav": b"1" * 40, "b.wav": b"2" * 40}), [30])
    damaged = bytearray(parts[-1])
    damaged[-1 - position % len(damaged)] = value
    paths = written(folder, [*parts[:-1], bytes(damaged)])
    try:
        with open_archive(paths) as archive:
            unpack(archive, folder, lambda path: None if path in ("", "x.zip", "x.z01") else path)
    except DataError as error:
        assert len(str(error).splitlines()) == 1


def link(archive: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("ok/link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(entry, "/etc/passwd")


@pytest.mark.parametrize(
    "add, words",
    [
        (lambda archive: archive.writestr("../evil.wav", b"x"), "'../evil.wav' leads out of its folder"),
        (lambda archive: archive.writestr("ok/../../evil.wav", b"x"), "leads out of its folder"),
        (lambda archive: archive.writestr("/tmp/evil.wav", b"x"), "leads out of its folder"),
        (lambda archive: archive.writestr("C:evil.wav", b"x"), "leads out of its folder"),
        (lambda archive: archive.writestr("..\\evil.wav", b"x"), "leads out of its folder"),
        (link, "'ok/link' is a link or a device"),
        (
            lambda archive: archive.writestr("other/good.wav", b"x"),
            "expected each file once, found 'good.wav'",
        ),
    ],
)
def test_unsafe_archives_leave_nothing(add, words, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("ok/good.wav", b"good")
        add(archive)
    out = tmp_path / "out"
    out.mkdir()
    with open_archive([tmp_path / "x.zip"]) as archive, pytest.raises(DataError, match=words) as raised:
        unpack(archive, out, lambda path: path.split("/")[-1])
    assert "nothing was unpacked" in str(raised.value) and len(str(raised.value).splitlines()) == 1
    assert not list(out.iterdir()) and not (tmp_path / "evil.wav").exists()


def test_encrypted_entries_are_refused(tmp_path):
    content = bytearray(zipped({"a.wav": b"x"}))
    at = content.rfind(b"PK\1\2")
    struct.pack_into("<H", content, at + 8, 1)
    (tmp_path / "x.zip").write_bytes(content)
    with (
        open_archive([tmp_path / "x.zip"]) as archive,
        pytest.raises(DataError, match="'a.wav' is encrypted"),
    ):
        unpack(archive, tmp_path, lambda path: path)


@pytest.mark.parametrize("cuts", [[], [50, 300]])
def test_a_wrong_checksum_inside_is_damage(cuts, tmp_path):
    content = bytearray(zipped({"a.wav": NOISE[:500]}))
    content[200] ^= 1
    out = tmp_path / "out"
    out.mkdir()
    parts = split(bytes(content), cuts) if cuts else [bytes(content)]
    with open_archive(written(tmp_path, parts)) as archive:
        with pytest.raises(DamagedArchive, match="x.zip: 'a.wav' is damaged"):
            unpack(archive, out, lambda path: path)


def test_an_archive_larger_than_the_disk_is_not_begun(tmp_path, monkeypatch):
    monkeypatch.setattr("toolkit.download.archives.shutil.disk_usage", lambda _: SimpleNamespace(free=99))
    (tmp_path / "x.zip").write_bytes(zipped({"a.wav": b"x" * 100}))
    with open_archive([tmp_path / "x.zip"]) as archive, pytest.raises(DataError, match="GB free to unpack"):
        unpack(archive, tmp_path, lambda path: path)
    assert not (tmp_path / "a.wav").exists()
