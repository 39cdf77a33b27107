"""Log spectrograms as pictures: one palette, 80 dB at most, low frequencies at the bottom.

spectrogram_image is the picture alone; picture_of adds the axes, frequencies in Hz and time in seconds.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

DYNAMIC_RANGE = 8 * np.log(10) / 2  # 80 dB in the natural logarithm of magnitudes
N_COLOURS = 64  # steps of at most 1.25 dB, which no eye tells apart, in small files
# Dark to light, so that grey prints keep the order; values between are mixed.
COLOURS = np.array(
    [(6, 4, 22), (50, 16, 92), (112, 26, 110), (176, 46, 92), (228, 88, 52), (248, 154, 34), (252, 250, 172)]
)
# Of a picture with axes, in pixels.
MIN_SIZE, MAX_SIZE, MARGIN_LEFT, MARGIN_TOP, MARGIN_RIGHT, MARGIN_BOTTOM = 256, 1200, 52, 8, 16, 20
MIN_LABEL_PIXELS = 14  # between two labels of frequencies
TICKS_HZ = (20_000, 10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50)


def palette() -> np.ndarray:
    """(N_COLOURS, 3) uint8, from dark to light."""
    places, stops = np.linspace(0, 1, N_COLOURS), np.linspace(0, 1, len(COLOURS))
    channels = [np.interp(places, stops, channel) for channel in COLOURS.T]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def spectrogram_image(features: np.ndarray, max_rows: int, max_columns: int) -> Image.Image:
    """A log spectrogram (features, frames) as a palette image, a pixel per value or per mean of several.

    Colours span the values from the loudest down to the quietest, but 80 dB at most; where all are equal,
    as in silence, all is dark.
    """
    values = pooled(pooled(features[::-1], max_rows).T, max_columns).T
    loudest, quietest = float(values.max()), float(values.min())
    span = min(loudest - quietest, DYNAMIC_RANGE)
    levels = ((values - loudest + span) / max(span, 1e-3)).clip(0, 1)
    image = Image.fromarray(np.round(levels * (N_COLOURS - 1)).astype(np.uint8))
    image.putpalette(palette().ravel().tolist())
    return image


def pooled(rows: np.ndarray, max_rows: int) -> np.ndarray:
    """(rows, columns) -> at most max_rows rows, each the mean of its neighbours, about equally many."""
    if len(rows) <= max_rows:
        return rows
    starts = np.arange(max_rows) * len(rows) // max_rows
    return np.add.reduceat(rows, starts, axis=0) / np.diff([*starts, len(rows)])[:, None]


def picture_of(features: np.ndarray, frequencies_hz: np.ndarray, seconds_per_frame: float) -> np.ndarray:
    """A log spectrogram (features, frames) as a picture (rows, columns, 3) uint8 with its axes.

    Args:
        frequencies_hz: (features,) centre of each row of the spectrogram.
        seconds_per_frame: distance of its columns.
    """
    image = spectrogram_image(features, MAX_SIZE, MAX_SIZE)
    rows = max(image.height, MIN_SIZE)
    columns = int(np.clip(4 * image.width, MIN_SIZE, MAX_SIZE))
    spectrogram = image.convert("RGB").resize((columns, rows), Image.Resampling.NEAREST)
    size = columns + MARGIN_LEFT + MARGIN_RIGHT, rows + MARGIN_TOP + MARGIN_BOTTOM
    picture = Image.new("RGB", size, "white")
    picture.paste(spectrogram, (MARGIN_LEFT, MARGIN_TOP))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=12)
    bottom = MARGIN_TOP + rows
    for place, label in frequency_ticks(frequencies_hz, MIN_LABEL_PIXELS / rows):
        y = bottom - place * rows
        draw.text((MARGIN_LEFT - 6, y), label, "black", font, anchor="rm")
        draw.line((MARGIN_LEFT - 4, y, MARGIN_LEFT - 1, y), "black")
    seconds = features.shape[1] * seconds_per_frame
    for time in np.arange(0, seconds + 1e-9, _tick_seconds(seconds, columns)):
        x = MARGIN_LEFT + time / seconds * columns
        draw.line((x, bottom, x, bottom + 3), "black")
        draw.text((x, bottom + 4), f"{time:g} s", "black", font, anchor="mt")
    return np.asarray(picture)


def frequency_ticks(frequencies_hz: np.ndarray, min_distance: float) -> list[tuple[float, str]]:
    """Round frequencies as (place, label), lowest first; places from 0, the bottom, to 1, the top.

    Args:
        frequencies_hz: (features,) centre of each row of the spectrogram.
        min_distance: of two places.
    """
    ticks: list[tuple[float, str]] = []
    for hz in sorted(TICKS_HZ):
        if not frequencies_hz[0] <= hz <= frequencies_hz[-1]:
            continue
        band = np.interp(hz, frequencies_hz, np.arange(len(frequencies_hz)))
        place = float((band + 0.5) / len(frequencies_hz))
        if not ticks or place - ticks[-1][0] >= min_distance:
            ticks.append((place, f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz"))
    return ticks


def _tick_seconds(seconds: float, columns: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten that leaves 60 pixels between ticks."""
    min_step = seconds * 60 / columns
    power = 10.0 ** np.floor(np.log10(min_step))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= min_step)
