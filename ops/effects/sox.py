"""The effects chain by the SoX binary, one clip at a time, on the CPU."""

from __future__ import annotations

import logging
import shutil

import numpy as np

from ops.samples import EffectsDraw
from ops.sampling import SAMPLE_RATE


def apply_sox(audio: np.ndarray, draw: EffectsDraw) -> np.ndarray:
    """Reverb, pitch, overdrive and tempo, in this order, by the SoX binary.

    audio (samples,) float32 at 44,100 Hz; tempo makes it samples / tempo long. Reverb opens mono to
    stereo; SoX mixes it down at the end.
    """
    import sox  # here: the package complains on import where the binary is missing

    logging.getLogger("sox").setLevel(logging.ERROR)  # it advises on every chain
    chain = sox.Transformer()
    chain.set_globals(dither=False, verbosity=1)
    chain.reverb(reverberance=draw.reverberance, room_scale=draw.room_scale, stereo_depth=draw.stereo_depth)
    chain.pitch(draw.pitch_cents / 100)  # the package takes semitones
    chain.overdrive(draw.overdrive_gain_db)
    chain.tempo(draw.tempo)
    changed = chain.build_array(input_array=audio, sample_rate_in=SAMPLE_RATE)
    return changed.copy() if len(changed) else audio  # a clip of one sample can vanish


def missing_effects_engine(name: str) -> str | None:
    """What the effects engine lacks on this machine and how to get it; None where it is ready."""
    if name == "sox" and shutil.which("sox") is None:
        return (
            "p_aug > 0 with --effects=sox needs the SoX binary, and none is on the PATH; --effects=torch "
            "needs none, or install it (Debian: apt-get install sox), or train with --p_aug=0"
        )
    return None
