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


def mp3_of(path: Path, rate: int = SAMPLE_RATE, channels: int = 1, seconds: float = 2.0, **options) -> bytes:
    """An MP3 whose frames differ in size: a second of silence, then noise."""
    noise = np.random.default_rng(rate).uniform(-0.3, 0.3, (round(seconds * rate), channels))
    noise[:rate] = 0
    options = {"bitrate_mode": "VARIABLE", "compression_level": 0.5, **options}
    soundfile.write(path, noise, rate, format="MP3", **options)
    return path.read_bytes()


def mp3_frames(content: bytes) -> list[bytes]:
    """The frames of an MP3 of layer 3 that holds nothing else; the first is its index."""
    frames = []
    while content:
        version, bits, rate_bits = content[1] >> 3 & 3, content[2] >> 4, content[2] >> 2 & 3
        rate = (44100, 48000, 32000)[rate_bits] // {3: 1, 2: 2, 0: 4}[version]
        bit_rates = (
            (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
            if version == 3
            else (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
        )
        size = (144 if version == 3 else 72) * bit_rates[bits - 1] * 1000 // rate + (content[2] >> 1 & 1)
        frames.append(content[:size])
        content = content[size:]
    return frames


def ogg_pages(content: bytes) -> list[bytes]:
    pages = []
    while content:
        size = 27 + content[26] + sum(content[27 : 27 + content[26]])
        pages.append(content[:size])
        content = content[size:]
    return pages
