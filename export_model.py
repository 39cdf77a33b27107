#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Export an experiment as one file for other programs: waveform in, probabilities out.

    python export_model.py --experiment experiments/2d_cnn-0a1b2c3d --output tagger.onnx \\
        --verify_df data/sample_submission.csv --verify_data_dir data/test/

A head on embeddings is exported with its backbone inside, where that is an ONNX file (docs/backbones.md).
The file averages the experiment's folds and holds the front end: its input `waveform` is (batch, samples)
at 44,100 Hz, of any length, its output `probabilities` (batch, classes). The names of the classes are in
its metadata. Before it is kept, it is run: where its probabilities differ from the experiment's own by
more than 1e-4, nothing is written. examples/tag_with_onnx.py uses it without this repository.
"""

import argparse
import copy

from toolkit.system.machine import prepare_process

prepare_process()  # before torch is imported

import torch

from networks.build import build_network
from networks.export import WaveformTagger
from networks.export_embeddings import ClipWindows, HeadOnWaveforms, PooledHeads
from networks.folding import fold_batch_norms
from toolkit.cli.parser import COUNT, make_parser, output_path, run_script
from toolkit.prediction.backbone_files import backbone_of, to_onnx_with_backbone
from toolkit.prediction.model_files import (
    FORMATS,
    INSTALL,
    check_format,
    clips_to_verify,
    load_best_models,
    random_signals,
    tags_of,
    verify,
)
from toolkit.runs.experiment import Experiment
from toolkit.system import console
from toolkit.system.files import write_atomically
from toolkit.training.backbones import ClipEmbedder


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--experiment", required=True, help="directory of a training run")
    parser.add_argument("--output", required=True, metavar="FILE", help="file to write")
    parser.add_argument("--format", choices=sorted(FORMATS), default="onnx", help="kind of file")
    parser.add_argument("--verify_df", help="clips to verify with, any CSV with fname; else random signals")
    parser.add_argument("--verify_data_dir", help="folder of these clips")
    parser.add_argument("--verify_clips", type=COUNT, default=50, help="at most so many of them")
    args = parser.parse_args(argv)
    if (args.verify_df is None) != (args.verify_data_dir is None):
        parser.error("--verify_df and --verify_data_dir go together: give both or none")
    missing = FORMATS[args.format].missing_packages()
    if missing:
        parser.error(f"--format {args.format} needs the packages {' and '.join(missing)}: {INSTALL}")
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    output, form = output_path(args.output), FORMATS[args.format]
    experiment = Experiment.load(args.experiment)
    if experiment.config.embedding is None:
        check_format(experiment, args.format)
    else:
        backbone = backbone_of(experiment, args.format)
    if args.verify_df:
        signals, kind = clips_to_verify(args.verify_df, args.verify_data_dir, args.verify_clips), "clips"
    else:
        signals, kind = random_signals(), "random signals"
    networks = load_best_models(experiment, build_network)
    about = experiment.classes, tags_of(experiment)
    if experiment.config.embedding is None:
        folded = [fold_batch_norms(copy.deepcopy(model)) for model in networks.values()]
        content = form.write(WaveformTagger(folded).eval(), *about)
    else:
        embed = ClipEmbedder(backbone, torch.device("cpu"))
        windows = ClipWindows(backbone.sample_rate, backbone.window, backbone.hop, embed.min_samples)
        heads = PooledHeads(networks.values()).eval()
        content = to_onnx_with_backbone(windows, backbone, heads, *about)
        networks = {path: HeadOnWaveforms(embed, head) for path, head in networks.items()}
    found = verify(form.run(content), networks, signals, kind, output)
    write_atomically(output, lambda file: file.write(content))
    console.note(f"{output}: {len(networks)} folds, {len(content) / 1e6:.1f} MB")
    print(found)


if __name__ == "__main__":
    run_script(main)
