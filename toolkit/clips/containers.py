"""What sound files promise and hold, by their own structure and without decoding.

libsndfile reads a WAV's samples as far as they go, estimates the length of an MP3 without an index, stops at
the end of the first of several streams and says nothing of what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from toolkit.clips.chunked_files import (
    survey_aiff,
    survey_au,
    survey_caf,
    survey_nist,
    survey_w64,
    survey_wav,
)
from toolkit.clips.flac_frames import survey_flac
from toolkit.clips.layouts import Layout, Source, end_of_id3
from toolkit.clips.mpeg_frames import survey_mpeg
from toolkit.clips.ogg_pages import survey_ogg

SURVEYS: dict[bytes, Callable[[Source], Layout]] = {
    b"RIFF": survey_wav,
    b"RIFX": survey_wav,
    b"RF64": survey_wav,
    b"riff": survey_w64,
    b"FORM": survey_aiff,
    b".snd": survey_au,
    b"dns.": survey_au,
    b"caff": survey_caf,
    b"NIST": survey_nist,
    b"fLaC": survey_flac,
    b"OggS": survey_ogg,
}

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


def survey(file: BinaryIO) -> Layout:
    """Streams, lengths and losses of an open sound file; of a kind that it does not know, an empty layout."""
    source = Source(file)
    magic = source.at(0, 4)
    if magic in SURVEYS:
        return SURVEYS[magic](source)
    if source.at(end_of_id3(source, 0), 4) == b"fLaC":
        return survey_flac(source)
    return survey_mpeg(source)


def foreign_format(file: BinaryIO) -> str:
    """What a file is that soundfile cannot read, as "an MP4 file"; empty: not known."""
    head = Source(file).at(0, 16)
    return next((name for (offset, magic), name in FOREIGN.items() if head[offset:].startswith(magic)), "")
