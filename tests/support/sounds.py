"""Short signals, and the files that hold them in other formats."""

from pathlib import Path

import numpy as np
import soundfile

from ops.sampling import SAMPLE_RATE

# Multiples of 1/128 are exact in every PCM format from 8 bits on.
STEPS = ((np.arange(1000) * 37 % 201 - 100) / 128).astype(np.float32)
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 30_000).astype(np.float32)


def tone(rate: int, seconds: float = 1.0, hz: float = 1000.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)


def encoded(tmp: Path, samples: np.ndarray, **options) -> bytes:
    soundfile.write(tmp, samples, SAMPLE_RATE, **options)
    content = tmp.read_bytes()
    tmp.unlink()
    return content


def patched(content: bytes, offset: int, new: bytes) -> bytes:
    return content[:offset] + new + content[offset + len(new) :]


def without_mp3_index(content: bytes) -> bytes:
    """An MP3 less its first frame, the Xing header, as old encoders wrote it."""
    assert content[:2] == b"\xff\xfb" and b"Xing" in content[:100]
    return content[content.index(b"\xff\xfb", 4) :]


def stereo(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right], axis=1)


MP3_NOISE = np.concatenate([np.zeros(SAMPLE_RATE), NOISE, NOISE[::-1] / 8])


def mp3(path: Path) -> bytes:
    return encoded(path, MP3_NOISE, format="MP3", bitrate_mode="VARIABLE")
