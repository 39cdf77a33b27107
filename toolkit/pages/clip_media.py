"""A clip's sound (MP3, which every browser plays) and picture (PNG) as data URIs.

Size: 10 s take some 70 kB of sound and 35 kB of picture in the page.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from ops.errors import DataError
from ops.features import LogSpectrogram
from ops.sampling import SAMPLE_RATE
from ops.spectrograms import frequency_ticks, spectrogram_image
from toolkit.clips.sound_files import read_audio, read_header
from toolkit.pages.template import data_uri
from toolkit.system import console

MP3_COMPRESSION = 0.9  # of 0 to 1; a variable rate of some 40 kbit/s
DEFAULT_FEATURES = "mel_2048_1024_128"  # of pictures
COLUMNS, ROWS = 480, 128  # at most, of a picture
MIN_TICK_DISTANCE = 0.16  # of a picture's height


class ClipMedia:
    """Makes the sounds and pictures of clips.

    Args:
        features: descriptor of the front end that the pictures show; None, as of a network that has none:
            DEFAULT_FEATURES.
        max_seconds: longer clips are cut off there.
    """

    def __init__(self, features: str | None, max_seconds: float):
        try:
            self.front_end = LogSpectrogram(features or DEFAULT_FEATURES)
        except ValueError as error:
            raise DataError(str(error)) from error
        ticks = frequency_ticks(self.front_end.spec.frequencies_hz, MIN_TICK_DISTANCE)
        self.ticks = [[round(place, 3), label] for place, label in ticks]
        self.n_samples = max(1, round(max_seconds * SAMPLE_RATE))

    def of(self, path: str | Path) -> dict[str, Any]:
        """sound, picture, its frequency axis (place from 0 at the bottom to 1, label), seconds (in the page)
        and whole_seconds; or error for an unreadable clip."""
        try:
            whole = read_header(path).n_samples
            audio = read_audio(path, n_samples=self.n_samples)
        except DataError as error:
            return {"error": str(error)}
        seconds = len(audio) / SAMPLE_RATE
        return {
            "sound": data_uri("audio/mpeg", encode_mp3(audio)),
            "picture": data_uri("image/png", self.picture(audio)),
            "frequencies": self.ticks,
            "seconds": seconds,
            "whole_seconds": max(seconds, whole / SAMPLE_RATE) if len(audio) == self.n_samples else seconds,
        }

    @torch.inference_mode()
    def picture(self, audio: np.ndarray) -> bytes:
        """PNG of the (samples,) clip's features, see ops.spectrograms."""
        features = self.front_end(torch.from_numpy(audio)[None])[0].numpy()
        file = io.BytesIO()
        spectrogram_image(features, ROWS, COLUMNS).save(file, "PNG", optimize=True)
        return file.getvalue()


def warn_of_unreadable(clips: Sequence[dict[str, Any]], folder: str | Path) -> bool:
    """Whether a page shows clips without their sound; a warning says so. DataError where all are."""
    errors = [clip["error"] for clip in clips if "error" in clip]
    if errors and len(errors) == len(clips):
        raise DataError(f"{folder}: none of the {len(clips)} clips of the page can be read; {errors[0]}")
    if errors:
        console.warn(f"{len(errors)} of the page's {len(clips)} clips could not be read; {errors[0]}")
    return bool(errors)


def encode_mp3(audio: np.ndarray) -> bytes:
    """(samples,) float32 at 44,100 Hz -> a mono MP3 file."""
    file = io.BytesIO()
    soundfile.write(file, audio, SAMPLE_RATE, format="MP3", compression_level=MP3_COMPRESSION)
    return file.getvalue()
