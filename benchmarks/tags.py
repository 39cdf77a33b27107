#!/usr/bin/env python3
"""How right tags are: F1, calibration, false tags on backgrounds, and how far onsets are off.

    python benchmarks/tags.py --data_script PATH/make_fsd_layout.py --work_dir /tmp/noisy --source esc10

Networks trained on curated clips alone (runs shared with benchmarks/noisy.py's) tag the test clips. Out of
fold the thresholds and the calibration are fitted on the other fold's clips. Backgrounds are an hour each of
silence, hum and noise of rooms, drawn anew, in recordings of a minute. For onsets test clips of one label are
laid into silence, or into noise 30 dB weaker.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent)]
import noisy  # noqa: E402
from real_runs import EVEN, Layout, add_arguments, make_layout  # noqa: E402

from ops.backgrounds import draw_hum, draw_noise  # noqa: E402
from ops.calibration import fit_calibration  # noqa: E402
from ops.sampling import SAMPLE_RATE  # noqa: E402
from ops.thresholds import calibration_error, f1_scores, f1_thresholds  # noqa: E402
from toolkit.cli.parser import print_table  # noqa: E402
from toolkit.clips.sound_files import read_audio  # noqa: E402
from toolkit.clips.tables import read_table  # noqa: E402
from toolkit.clips.truth import truth_of  # noqa: E402
from toolkit.prediction.tagger import Tagger  # noqa: E402
from toolkit.runs.experiment import Experiment  # noqa: E402
from toolkit.runs.out_of_fold import read_out_of_fold  # noqa: E402
from toolkit.runs.predictions import read_predictions  # noqa: E402

RECORDING_SECONDS = 60
LEVELS_DB = {"silence": (-200, -90), "hum": (-60, -20), "room noise": (-60, -20)}
EVENT_SECONDS = 20  # of a recording that one clip is laid into
SNR_DB = 30


def experiment_of(args: argparse.Namespace, layout: Layout, seed: int) -> Experiment:
    """The experiment on curated clips, trained now unless it is there."""
    noisy.work(args, "curated", layout, seed)
    (directory,) = (noisy.run_of(args, "curated", layout, seed).folder / "experiments").iterdir()
    return Experiment.load(directory)


def out_of_fold_figures(experiment: Experiment) -> dict[str, float]:
    """Each fold's clips by rules that the other folds' gave."""
    clips = read_out_of_fold(experiment, range(experiment.n_folds), experiment.config.data.train_df)
    probabilities, tagged = np.zeros_like(clips.scores), np.zeros(clips.scores.shape, bool)
    for fold in range(experiment.n_folds):
        own = clips.folds == fold
        calibration = fit_calibration(clips.scores[~own], clips.truth[~own])
        thresholds = f1_thresholds(calibration.apply(clips.scores[~own]), clips.truth[~own])
        probabilities[own] = calibration.apply(clips.scores[own])
        tagged[own] = probabilities[own] >= thresholds
    micro, macro = f1_scores(tagged, clips.truth)
    error = calibration_error(probabilities, clips.truth)
    return {"out of fold: F1": micro, "mean of classes": macro, "calibration error": error}


def test_figures(tagger: Tagger, experiment: Experiment, layout: Layout) -> dict[str, float]:
    """The test clips by tags, and by raw scores of at least 0.5."""
    found = tagger.probabilities(layout.folder / "test")
    truth = truth_of(layout.folder / "test_truth.csv", found["file"].tolist(), tagger.classes)
    probabilities = found[tagger.classes].to_numpy()
    tagged = probabilities >= tagger.thresholds
    micro, macro = f1_scores(tagged, truth)
    raw = read_predictions(experiment.predictions("submission")).rows_of(found["file"].tolist(), "submission")
    return {
        "test: F1": micro,
        "test: mean of classes": macro,
        "test: calibration error": calibration_error(probabilities, truth),
        "test: none of the classes": float((~tagged.any(axis=1)).mean()),
        "raw scores of 0.5: F1": f1_scores(raw >= 0.5, truth)[0],
        "raw: calibration error": calibration_error(raw, truth),
    }


def background(kind: str, rng: np.random.Generator) -> np.ndarray:
    """(samples,) a minute of one kind, at a level drawn."""
    n_samples = RECORDING_SECONDS * SAMPLE_RATE
    audio = draw_noise(rng, n_samples)
    if kind == "hum":
        audio = draw_hum(rng, n_samples)
    elif kind == "room noise":
        audio += draw_hum(rng, n_samples) * rng.uniform(0, 0.5)
    level = 10 ** (rng.uniform(*LEVELS_DB[kind]) / 20)
    return np.clip(level * audio / np.sqrt(np.mean(audio**2)), -1, 1).astype(np.float32)


def false_tags(tagger: Tagger, minutes: int, seed: int) -> dict[str, float]:
    """Minutes, in an hour of each kind of background, with a tag."""
    rng = np.random.default_rng([seed, 7])
    found = {}
    for kind in LEVELS_DB:
        tables = [tagger.predict(background(kind, rng), SAMPLE_RATE) for _ in range(minutes)]
        n_tagged = sum(table["class"].notna().any() for table in tables)
        found[f"{kind}: tagged minutes of 60"] = 60 * n_tagged / minutes
    return found


def onset_figures(tagger: Tagger, layout: Layout, n_clips: int, seed: int) -> dict[str, float]:
    """Of single clips laid into silence or noise: those found, and how far their begin and end are off."""
    table = read_table(layout.folder / "test_truth.csv", ["fname", "labels"])
    single = table[~table["labels"].str.contains(",")]
    rng = np.random.default_rng([seed, 11])
    chosen = single.iloc[rng.permutation(len(single))[:n_clips]]
    found = {}
    for name, snr_db in (("silence", None), (f"noise {SNR_DB} dB below", SNR_DB)):
        starts, ends = [], []
        for fname, label in zip(chosen["fname"], chosen["labels"], strict=True):
            clip = read_audio(layout.folder / "test" / fname)
            audio = np.zeros(EVENT_SECONDS * SAMPLE_RATE, np.float32)
            at = int(rng.integers(len(audio) - len(clip)))
            audio[at : at + len(clip)] = clip
            if snr_db is not None:
                level = np.sqrt(np.mean(clip**2)) * 10 ** (-snr_db / 20)
                audio += (level * draw_noise(rng, len(audio))).astype(np.float32)
            timeline = tagger.timeline(np.clip(audio, -1, 1), SAMPLE_RATE)
            span = at / SAMPLE_RATE, (at + len(clip)) / SAMPLE_RATE
            own = timeline[
                (timeline["class"] == label) & (timeline["end"] > span[0]) & (timeline["start"] < span[1])
            ]
            if len(own):
                starts.append(own["start"].min() - span[0])
                ends.append(own["end"].max() - span[1])
        found[f"{name}: found"] = len(starts) / len(chosen)
        found[f"{name}: onset off, median s"] = float(np.median(np.abs(starts))) if starts else np.nan
        found[f"{name}: onset off, 90 % s"] = float(np.quantile(np.abs(starts), 0.9)) if starts else np.nan
        found[f"{name}: end off, median s"] = float(np.median(np.abs(ends))) if ends else np.nan
    return found


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--minutes", type=int, default=60, help="of each kind of background")
    parser.add_argument("--onset_clips", type=int, default=100, help="clips laid into silence and noise")
    args = parser.parse_args(argv)
    runs = []
    for rotation in args.rotations:
        layout = make_layout(args, rotation, EVEN)  # of its noisy clips nothing is used
        for seed in args.seeds:
            experiment = experiment_of(args, layout, seed)
            tagger = Tagger.load(experiment.directory, device=args.device)
            figures = out_of_fold_figures(experiment) | test_figures(tagger, experiment, layout)
            figures |= false_tags(tagger, args.minutes, seed) | onset_figures(
                tagger, layout, args.onset_clips, seed
            )
            runs.append(figures)
            print(f"{layout.name} seed {seed}: done", file=sys.stderr, flush=True)
    rows = [["figure", "mean", "lowest", "highest"]]
    for name in runs[0]:
        values = np.array([run[name] for run in runs])
        rows.append([name, *(f"{value:.3f}" for value in (values.mean(), values.min(), values.max()))])
    print_table(rows)
    print(f"runs: {len(runs)}")


if __name__ == "__main__":
    main()
