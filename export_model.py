#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Export an experiment as one file for other programs: waveform in, probabilities out.

    python export_model.py --experiment experiments/2d_cnn-0a1b2c3d --output tagger.onnx \\
        --verify_df data/sample_submission.csv --verify_data_dir data/test/

The file averages the experiment's folds and holds the front end: its input `waveform` is (batch, samples)
at 44,100 Hz, of any length, its output `probabilities` (batch, classes). The names of the classes are in
its metadata. Before it is kept, it is run: where its probabilities differ from the experiment's own by
more than 1e-4, nothing is written. examples/tag_with_onnx.py uses it without this repository.
"""

import argparse
from collections.abc import Iterator

import numpy as np
import torch

from networks.classifiers import Classifier, NetworkConfig, build_classifier
from networks.export import WaveformTagger
from networks.folding import fold_batch_norms
from ops.errors import DataError
from ops.logits import sigmoid
from ops.sampling import SAMPLE_RATE
from toolkit.cli import parser as cli
from toolkit.clips.checks import probe_clips, raise_if_any
from toolkit.clips.sound_files import read_audio
from toolkit.clips.tables import read_table
from toolkit.prediction.model_files import FORMATS, INSTALL
from toolkit.runs.checkpoints import load_weights
from toolkit.runs.experiment import Experiment
from toolkit.system import console
from toolkit.system.files import write_atomically

TOLERANCE = 1e-4
RANDOM_SECONDS = (0.0001, 0.1, 1.0, 3.3, 12.0)  # of the signals to verify with where no clips are given


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument("--experiment", required=True, help="directory of a training run")
    parser.add_argument("--output", required=True, metavar="FILE", help="file to write")
    parser.add_argument("--format", choices=sorted(FORMATS), default="onnx", help="kind of file")
    parser.add_argument("--verify_df", help="clips to verify with, any CSV with fname; else random signals")
    parser.add_argument("--verify_data_dir", help="folder of these clips")
    parser.add_argument("--verify_clips", type=cli.COUNT, default=50, help="at most so many of them")
    args = parser.parse_args(argv)
    if (args.verify_df is None) != (args.verify_data_dir is None):
        parser.error("--verify_df and --verify_data_dir go together: give both or none")
    missing = FORMATS[args.format].missing_packages()
    if missing:
        parser.error(f"--format {args.format} needs the packages {' and '.join(missing)}: {INSTALL}")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    output, form = cli.output_path(args.output), FORMATS[args.format]
    experiment = Experiment.load(args.experiment)
    aggregation = experiment.config["network"].get("aggregation_type")
    if aggregation not in form.aggregations:
        raise DataError(
            f"{experiment.directory}: --format {args.format} cannot hold networks with "
            f"--aggregation_type={aggregation}; export with --format onnx"
        )
    signals = list(clips_to_verify(args)) if args.verify_df else list(random_signals())
    models = load_models(experiment)
    tagger = WaveformTagger([fold_batch_norms(model) for model in load_models(experiment)]).eval()
    content = form.write(tagger, experiment.config["data"]["classes"])
    run = form.run(content)
    difference = 0.0
    for signal in console.progress(signals, desc="verifying", unit="clip"):
        found, expected = run(signal[None])[0], own_prediction(models, signal)
        difference = max(difference, float(np.abs(found - expected).max()))
    what = "clips" if args.verify_df else "random signals"
    found = (
        f"largest difference to the experiment's own probabilities: {difference:.1e}, {len(signals)} {what}"
    )
    if not difference <= TOLERANCE:
        raise DataError(f"{output}: not written, {found}; expected at most {TOLERANCE:g}")
    write_atomically(output, lambda file: file.write(content))
    console.note(f"{output}: {len(models)} folds, {len(content) / 1e6:.1f} MB")
    print(found)


def load_models(experiment: Experiment) -> list[Classifier]:
    """The best models of all folds; DataError where a fold is not finished."""
    n_folds, results = experiment.config["data"]["n_folds"], experiment.results()
    missing = [fold for fold in range(n_folds) if "metric" not in results.get(f"fold{fold}", {})]
    if missing:
        raise DataError(f"{experiment.directory}: folds {missing} are not finished; train them (--resume)")
    models = []
    for fold in range(n_folds):
        try:
            model = build_classifier(NetworkConfig(**experiment.config["network"]))
        except (TypeError, ValueError) as error:
            raise DataError(f"{experiment.path('config.json')}: section network: {error}") from error
        load_weights(model, experiment.checkpoint(fold, "best_model"))
        models.append(model.eval())
    return models


def clips_to_verify(args: argparse.Namespace) -> Iterator[np.ndarray]:
    fnames = read_table(args.verify_df, ["fname"])["fname"].tolist()[: args.verify_clips]
    paths, lengths = probe_clips(fnames, args.verify_data_dir, args.verify_df)
    raise_if_any([length for length in lengths if isinstance(length, DataError)], args.verify_df)
    yield from map(read_audio, paths)


def random_signals() -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    for seconds in RANDOM_SECONDS:
        yield rng.uniform(-0.5, 0.5, int(seconds * SAMPLE_RATE)).astype(np.float32)


@torch.inference_mode()
def own_prediction(models: list[Classifier], signal: np.ndarray) -> np.ndarray:
    """(classes,) float64: what the networks of the checkpoints say of a clip, (samples,)."""
    logits = torch.stack([model(torch.from_numpy(signal)[None])[0] for model in models])
    return sigmoid(logits.numpy()).mean(axis=0)


if __name__ == "__main__":
    cli.run_script(main)
