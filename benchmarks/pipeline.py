#!/usr/bin/env python3
"""The input pipeline: clips a second that one core decodes and augments, by format and augmentation.

    python benchmarks/pipeline.py [--seconds 10] [--clips 40] [--effects sox] [--cache]

Training samples as a loader worker makes them, one after the other on one core. Counted is processor time
(of child processes, too), which other work on the machine changes little: a GPU that trains R clips a
second needs R divided by these figures cores.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from ops.sampling import SAMPLE_RATE  # noqa: E402
from ops.transforms import EFFECTS, Augmentation  # noqa: E402
from toolkit.clips.cache import SETTLED_NS, ClipCache  # noqa: E402
from toolkit.clips.loading import Clip, Segments, TrainingDataset  # noqa: E402

# name: (suffix, sample rate, channels)
FORMATS = {
    "WAV 44.1 kHz mono": ("wav", 44100, 1),
    "FLAC 44.1 kHz mono": ("flac", 44100, 1),
    "FLAC 48 kHz stereo": ("flac", 48000, 2),
    "MP3 44.1 kHz mono": ("mp3", 44100, 1),
}


def make_clips(
    folder: Path, n_clips: int, seconds: float, suffix: str, rate: int, channels: int
) -> list[Clip]:
    """Files of decaying tones in noise, which compress about as recordings do."""
    rng = np.random.default_rng(0)
    moment = np.arange(int(seconds * rate)) / rate
    clips = []
    for number in range(n_clips):
        tone = 0.3 * np.sin(2 * np.pi * rng.uniform(100, 4000) * moment) * np.exp(-moment)
        audio = tone[:, None] + 0.02 * rng.standard_normal((len(moment), channels))
        path = folder / f"{number}_{rate}.{suffix}"
        soundfile.write(path, audio, rate)
        labels = np.zeros(80, dtype=np.float32)
        clips.append(Clip(path.name, path, int(seconds * SAMPLE_RATE), labels))
    return clips


def clips_per_second(
    clips: list[Clip], seconds: float, augmentation: Augmentation, cache: ClipCache | None
) -> float:
    """Samples a second of processor time; with a cache, once it holds all clips and has checked them."""
    dataset = TrainingDataset(clips, Segments(seconds, seed=0, fold=0), augmentation, 1_000_000)
    dataset[0, 0]
    if cache is not None:
        time.sleep(2 * SETTLED_NS / 1e9)  # the last files are too new to be kept
        for clip in [*clips, *clips]:
            cache.read(clip.path)
        dataset.read_audio = cache.read
    before = processor_seconds()
    for index in range(len(clips)):
        _, sample = dataset[1, index]
        if isinstance(sample, Exception):
            raise sample
    return len(clips) / (processor_seconds() - before)


def processor_seconds() -> float:
    """Of this process and its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=10, help="length of the clips")
    parser.add_argument("--clips", type=int, default=40, help="clips per measurement")
    parser.add_argument("--effects", choices=sorted(EFFECTS), default=next(iter(EFFECTS)), help="engine")
    parser.add_argument("--cache", action="store_true", help="clips are kept decoded, and are so already")
    args = parser.parse_args()
    augmentations = {
        "none": Augmentation(),
        "MixUp 0.5": Augmentation(p_mixup=0.5),
        f"MixUp 0.5, {args.effects} effects 0.75": Augmentation(
            p_mixup=0.5, p_aug=0.75, effects=args.effects
        ),
    }
    print(f"clips of {args.seconds:g} s per second and core, {args.clips} clips, {time.strftime('%Y-%m-%d')}")
    print(f"{'':20}" + "".join(f"{name:>34}" for name in augmentations))
    with tempfile.TemporaryDirectory(prefix="pipeline_") as folder:
        for name, layout in FORMATS.items():
            clips = make_clips(Path(folder), args.clips, args.seconds, *layout)
            cache = ClipCache(Path(folder) / "cache") if args.cache else None
            rates = [
                clips_per_second(clips, args.seconds, augmentation, cache)
                for augmentation in augmentations.values()
            ]
            print(f"{name:20}" + "".join(f"{rate:34.1f}" for rate in rates), flush=True)


if __name__ == "__main__":
    main()
