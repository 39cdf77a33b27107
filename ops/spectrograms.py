"""Log spectrograms as pictures to look at: colours, frequencies in Hz and time in seconds."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

RANGE = 8 * np.log(10) / 2  # 80 dB below a clip's loudest value, in the natural logarithm of magnitudes
HEIGHT, MAX_WIDTH, MARGIN_LEFT, MARGIN_BOTTOM = 256, 1200, 52, 20  # pixels
TICKS_HZ = (20_000, 10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50)
# Dark to light, so that grey prints keep the order; values between are mixed.
COLOURS = np.array(
    [(6, 4, 22), (50, 16, 92), (112, 26, 110), (176, 46, 92), (228, 88, 52), (248, 154, 34), (252, 250, 172)]
)


def colourise(values: np.ndarray) -> np.ndarray:
    """Values from 0 to 1 -> uint8 colours, an axis of 3 more."""
    stops = np.linspace(0, 1, len(COLOURS))
    channels = [np.interp(values, stops, COLOURS[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def picture_of(features: np.ndarray, frequencies_hz: np.ndarray, seconds_per_frame: float) -> np.ndarray:
    """A log spectrogram (features, frames) as a picture (rows, columns, 3) uint8 with its axes.

    Low frequencies are at the bottom. Colours span the 80 dB below the loudest value.
    """
    loudest = float(features.max())
    values = np.clip((features - loudest) / RANGE + 1, 0, 1)[::-1]
    rows = HEIGHT if len(features) < HEIGHT else len(features)
    columns = int(np.clip(4 * features.shape[1], HEIGHT, max(MAX_WIDTH, features.shape[1])))
    spectrogram = Image.fromarray(colourise(values)).resize((columns, rows), Image.Resampling.NEAREST)
    picture = Image.new("RGB", (columns + MARGIN_LEFT + 16, rows + MARGIN_BOTTOM + 8), "white")
    picture.paste(spectrogram, (MARGIN_LEFT, 8))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=12)
    lowest_label = rows + 100
    for hz in sorted(TICKS_HZ):
        if not frequencies_hz[0] <= hz <= frequencies_hz[-1]:
            continue
        band = np.interp(hz, frequencies_hz, np.arange(len(frequencies_hz)))
        y = 8 + rows - (band + 0.5) * rows / len(features)
        if lowest_label - y >= 14:
            label = f"{hz // 1000} kHz" if hz >= 1000 else f"{hz} Hz"
            draw.text((MARGIN_LEFT - 6, y), label, "black", font, anchor="rm")
            draw.line((MARGIN_LEFT - 4, y, MARGIN_LEFT - 1, y), "black")
            lowest_label = y
    seconds = features.shape[1] * seconds_per_frame
    for time in np.arange(0, seconds + 1e-9, _tick_seconds(seconds, columns)):
        x = MARGIN_LEFT + time / seconds * columns
        draw.line((x, 8 + rows, x, 11 + rows), "black")
        draw.text((x, 12 + rows), f"{time:g} s", "black", font, anchor="mt")
    return np.asarray(picture)


def _tick_seconds(seconds: float, columns: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten that leaves 60 pixels between ticks."""
    least = seconds * 60 / columns
    power = 10.0 ** np.floor(np.log10(least))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= least)
