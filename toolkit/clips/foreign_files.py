"""Sounds that soundfile cannot read (M4A, WebM, WMA, AMR, ...): what they are, and ffmpeg for them."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from toolkit.clips.layouts import Layout, Source

# Endings of sounds and videos that soundfile cannot read.
FOREIGN_SUFFIXES = set(
    ".3ga .3gp .aac .ac3 .amr .ape .asf .avi .dts .f4v .flv .m2ts .m4a .m4b .m4v .mka .mkv .mov .mp4 .mpc "
    ".mpeg .mpg .mts .ra .rm .spx .tta .vob .webm .wma .wmv .wv".split()
)
INSTALL = "install ffmpeg (sudo apt-get install ffmpeg, or pip install imageio-ffmpeg) or convert it"
# The beginnings of files that soundfile cannot read; (offset, bytes): what they are.
FOREIGN = {
    (4, b"ftyp"): "an MP4, M4A or MOV file",
    (0, b"\x1a\x45\xdf\xa3"): "a WebM or Matroska file",
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"): "a WMA, WMV or ASF file",
    (0, b"#!AMR"): "an AMR file",
    (0, b"\xff\xf1"): "an AAC file",
    (0, b"\xff\xf9"): "an AAC file",
    (0, b"ADIF"): "an AAC file",
    (0, b"MAC "): "an APE file",
    (0, b"wvpk"): "a WavPack file",
    (0, b"FLV\x01"): "an FLV file",
    (8, b"AVI "): "an AVI file",
    (0, b"\x00\x00\x01\xba"): "an MPEG video file",
}
MAX_SECONDS = 24 * 3600 + 1  # a wrong length fills no disk; longer clips are refused
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # the File Properties Object's name
_TAGGED = re.compile(r"(?:\[[^\]]*\] )*?\[(\w+)\] (.*)")  # "[aac @ 0x55d0] [error] text": how bad, and what


def foreign_format(source: Source) -> str:
    """What a file is that soundfile cannot read, as "an MP4 file"; empty: not known."""
    head = source.at(0, 16)
    return next((name for (offset, magic), name in FOREIGN.items() if head[offset:].startswith(magic)), "")


def survey_foreign(source: Source, layout: Layout) -> None:
    """What a foreign file is, and whether it is cut off where ffmpeg may not say so: between packets."""
    layout.foreign = foreign_format(source)
    checks = {"an MP4": _mp4_is_cut, "a WMA": _asf_is_cut, "a WavPack": _wavpack_is_cut}
    for name, is_cut in checks.items():
        if layout.foreign.startswith(name) and is_cut(source):
            layout.lose(0, None, "the file is cut off")


def _mp4_is_cut(source: Source) -> bool:
    """Whether a box goes on beyond the file's end."""
    at = 0
    while at + 8 <= source.size:
        size = source.number(at, 4, "big")
        if size == 1:
            size = source.number(at + 8, 8, "big")
        if size < 8:  # 0: to the end
            return False
        at += size
    return at > source.size


def _asf_is_cut(source: Source) -> bool:
    """Whether the file is smaller than the size in its header."""
    at = source.at(0, 2**14).find(_ASF_FILE)
    is_open = at < 0 or source.number(at + 88, 4, "little") & 1  # a broadcast, whose size is not filled in
    return not is_open and source.number(at + 40, 8, "little") > source.size


def _wavpack_is_cut(source: Source) -> bool:
    """Whether the blocks end before the number of samples in the first one's header."""
    total, at, n_found = source.number(12, 4, "little"), 0, 0
    while source.at(at, 4) == b"wvpk" and at + 32 <= source.size:
        n_found = max(n_found, source.number(at + 16, 4, "little") + source.number(at + 20, 4, "little"))
        at += 8 + source.number(at + 4, 4, "little")
    return total != 2**32 - 1 and n_found < total


def find_ffmpeg() -> str | None:
    """The ffmpeg program: on the PATH, or that of the Python package imageio-ffmpeg."""
    program = shutil.which("ffmpeg")
    if program is None and importlib.util.find_spec("imageio_ffmpeg") is not None:
        try:
            program = importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe()
        except RuntimeError:  # the package came without the program
            return None
    return program


def decode(program: str, path: str | bytes, output: BinaryIO) -> list[str]:
    """Writes a file's first sound as AU, 24 bits at its own rate and channels; gives ffmpeg's complaints.

    24 bits hold all that a lossless codec's 16 or 24 have; what lossy ones overshoot is clipped.
    """
    command = [program, "-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info", "-threads", "1"]
    # Playlists, which such files may be, read no network; a name's beginning is no protocol and no option.
    command += ["-protocol_whitelist", "file,pipe", "-i", b"file:" + os.fsencode(path), "-map", "0:a:0"]
    command += ["-map_metadata", "-1", "-t", str(MAX_SECONDS), "-c:a", "pcm_s24be", "-f", "au", "pipe:1"]
    # In a session of its own Ctrl-C, which training answers by saving, does not end it amid a clip.
    pipes = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.PIPE}
    done = subprocess.run(command, **pipes, start_new_session=True)
    complaints = _complaints(done.stderr.decode(errors="replace"))
    if any("matches no streams" in text for text in complaints):
        return ["it holds no sound"]
    if done.returncode < 0:
        complaints.append(f"ffmpeg was ended by signal {-done.returncode}")
    elif done.returncode and not complaints:
        complaints.append(f"ffmpeg ended with exit code {done.returncode}")
    return complaints


def _complaints(log: str) -> list[str]:
    """Of ffmpeg's lines those that say that something of the sound is missing or damaged."""
    found = [match.groups() for line in log.splitlines() if (match := _TAGGED.match(line.strip()))]
    return [
        text
        for level, text in found
        if level in ("error", "fatal", "panic") or (level == "warning" and "corrupt" in text.lower())
    ]
