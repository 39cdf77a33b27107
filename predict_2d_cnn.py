#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Predict clips with the average of the folds of one or more experiments (any network).

    python predict_2d_cnn.py --experiment experiments/2d_cnn-0a1b2c3d --test_df data/train_noisy.csv \\
        --test_data_dir data/train_noisy/ --classmap data/classmap.json --output_df noisy_preds.csv

    python predict_2d_cnn.py --experiment experiments/2d_cnn-0a1b2c3d --inputs my_sounds/ door.mp3

The clips are those of a table and its folder, or with --inputs any sound files: named ones, and all
below named folders, of which it prints the tags (docs/tags.md); --timeline says when. Each clip is
decoded once, and its features are computed once for all networks of the same --features. A clip that
cannot be read gets the mean prediction of the others, is named in a warning and in
<output>.bad_clips.csv, and makes the exit code 3.

Under torchrun the processes share the clips, and what is done is kept in <output>.shards/ until the end:
killed and started again, the same command goes on from there. (Its exit code is then 0 with unreadable
clips, too: torchrun would take another one for a failure.)
"""

import argparse
from pathlib import Path

from toolkit.system.machine import prepare_process

prepare_process()  # before torch is imported

from networks.build import build_network, prepare_to_predict
from ops.errors import DataError
from toolkit.cli.parser import COUNT, EXIT_BAD_CLIPS, Parser, make_parser, number, output_path, run_script
from toolkit.cli.training_flags import add_flags, add_runtime_flags, runtime_of
from toolkit.clips.labels import load_class_map
from toolkit.clips.loading import MAX_WHOLE_SECONDS, WINDOW_SECONDS
from toolkit.clips.recordings import in_words
from toolkit.clips.tables import write_table
from toolkit.pages.clip_media import ClipMedia
from toolkit.pages.timeline import MAX_PAGE_SECONDS, timeline_data, timeline_page
from toolkit.prediction.clips import ClipsToPredict, PredictionOptions, Scores, report_bad_clips
from toolkit.prediction.ensemble import NetworkBuilder, check_classes
from toolkit.prediction.neighbours import NeighbourVoter
from toolkit.prediction.predict import Predictor
from toolkit.prediction.tagger import Tagger
from toolkit.prediction.timeline import Tags, rounded, tags_in_words, write_labels
from toolkit.runs.config import TrainConfig
from toolkit.runs.experiment import Experiment
from toolkit.system import console, processes
from toolkit.system.files import write_text
from toolkit.system.interruption import StopRequest

NETWORKS = NetworkBuilder(build_network, prepare_to_predict)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument(
        "--experiment", required=True, nargs="+", help="directory of a training run; of several, the average"
    )
    group = parser.add_argument_group("clips")
    group.add_argument("--test_df", help="table of clips, any CSV with fname")
    group.add_argument("--test_data_dir", help="folder of the table's clips")
    group.add_argument(
        "--inputs", nargs="+", metavar="PATH", help="sound files and folders, in place of table and folder"
    )
    group = parser.add_argument_group("predictions")
    group.add_argument("--output_df", help="predictions to write, CSV; optional with --inputs")
    group.add_argument("--classmap", help="JSON {class: index} of the experiment; optional with --inputs")
    group.add_argument(
        "--top_k",
        type=COUNT,
        help="print, in place of tags, the so many classes that each clip sounds like most, with raw scores",
    )
    group.add_argument(
        "--window_seconds",
        type=number(float, 1),
        help="score clips longer than twice this in windows and take of each class the highest score; "
        f"without it {WINDOW_SECONDS} with --inputs, and with a table {WINDOW_SECONDS} for clips longer than "
        f"{MAX_WHOLE_SECONDS}; of tags and timelines: the windows, without it as long as training clips",
    )
    group = parser.add_argument_group("times")
    group.add_argument("--timeline", metavar="FILE", help="when each class is heard, CSV; with --inputs")
    group.add_argument("--hop_seconds", type=number(float, 0.01), help="between the timeline's windows")
    group.add_argument(
        "--audacity", metavar="DIR", help="the timeline as label files for Audacity, one for each sound"
    )
    group.add_argument("--page", metavar="FILE", help="the timeline as a page to look at and listen to, HTML")
    group = parser.add_argument_group("run")
    group.add_argument(
        "--batch_size", type=COUNT, default=32, help="clips of 10 s per batch; of shorter ones more"
    )
    group.add_argument(
        "--out_of_fold",
        action="store_true",
        help="score a training clip only by the folds that did not train on it",
    )
    group.add_argument(
        "--neighbours",
        type=COUNT,
        metavar="K",
        help="in place of the networks' scores the labels of the K clips most alike, of this table and the "
        "curated one, counted: a further table for relabel_noisy_data.py (docs/rounds.md)",
    )
    add_runtime_flags(group)
    add_flags(group, TrainConfig, ["adapt_batch_norm"])
    args = parser.parse_args(argv)
    check_form(parser, args)
    args.runtime = runtime_of(parser, args)
    return args


def check_form(parser: Parser, args: argparse.Namespace) -> None:
    """parser.error unless the clips are given in exactly one of the two forms."""
    if args.inputs is None:
        needed = ("test_df", "test_data_dir", "classmap", "output_df")
        missing = [f"--{flag}" for flag in needed if getattr(args, flag) is None]
        if missing:
            parser.error(f"the following arguments are required without --inputs: {', '.join(missing)}")
    elif args.test_df or args.test_data_dir:
        parser.error("--inputs stands for --test_df and --test_data_dir: give these two or --inputs")
    elif args.out_of_fold:
        parser.error("--out_of_fold knows training clips by a table's names: give --test_df, not --inputs")
    if args.neighbours and (args.inputs is not None or args.window_seconds is not None):
        parser.error(
            "--neighbours compares the whole clips of a table with labels: give --test_df, and neither "
            "--inputs nor --window_seconds"
        )
    wants_times = args.timeline or args.audacity or args.page
    if args.inputs is None and wants_times:
        parser.error("--timeline, --audacity and --page are of --inputs")
    if args.hop_seconds is not None and not wants_times:
        parser.error("--hop_seconds is of --timeline, --audacity and --page: give one")
    args.tag_seconds = args.window_seconds
    if args.inputs is not None and args.window_seconds is None:
        args.window_seconds = WINDOW_SECONDS


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    output = output_path(args.output_df) if args.output_df else None
    times = {name: output_path(getattr(args, name)) for name in ("timeline", "page") if getattr(args, name)}
    if args.audacity:
        output_path(str(Path(args.audacity, "labels.txt")))  # its folder is made, or an error tells why not
    options = PredictionOptions(args.batch_size, args.window_seconds, args.out_of_fold, args.adapt_batch_norm)
    errors: dict[int, DataError] = {}
    with processes.joined(args.runtime.device), StopRequest() as stop:
        experiments = load_experiments(args)
        clips = find_clips(args)
        if output is not None or args.top_k is not None:
            how = (NETWORKS, options, args.runtime, output, stop)
            by = NeighbourVoter(args.neighbours, *how) if args.neighbours else Predictor(*how)
            scores = by.predict(experiments, clips)
            if scores is None:
                return 0  # rank 0 has them
            report(args, clips, scores)
            errors |= scores.errors
        if processes.is_main() and args.inputs is not None and (times or args.audacity or args.top_k is None):
            errors |= tag(args, experiments, clips, times, stop)
    return EXIT_BAD_CLIPS if errors and processes.launch() is None else 0


def load_experiments(args: argparse.Namespace) -> list[Experiment]:
    """The experiments, all with the classes of the class map, or of each other where none is given."""
    experiments = [Experiment.load(path) for path in args.experiment]
    if args.classmap:
        classes = list(load_class_map(args.classmap))
        for experiment in experiments:
            check_classes(experiment, classes, args.classmap)
    elif others := [e for e in experiments if e.classes != experiments[0].classes]:
        raise DataError(
            f"{others[0].directory}: expected the classes of {experiments[0].directory} in the same order, "
            "found others; predict with each alone, and blend_predictions.py brings their classes together"
        )
    return experiments


def find_clips(args: argparse.Namespace) -> ClipsToPredict:
    """The clips of either form."""
    if args.inputs is not None:
        return ClipsToPredict.of_inputs(args.inputs)
    return ClipsToPredict.of_table(args.test_df, args.test_data_dir)


def tag(
    args: argparse.Namespace,
    experiments: list[Experiment],
    clips: ClipsToPredict,
    times: dict[str, Path],
    stop: StopRequest,
) -> dict[int, DataError]:
    """Prints the tags of --inputs, writes their times; the errors of those that cannot be read."""
    wants_times, readable = bool(times or args.audacity), clips.readable
    try:
        adapt_to = readable if args.adapt_batch_norm else None
        tagger = Tagger.of(experiments, NETWORKS, args.runtime, stop, adapt_to)
    except DataError as error:
        if wants_times or not args.output_df:
            raise
        console.warn(f"no tags: {error}")
        return {}
    errors = {row: length for row, length in enumerate(clips.lengths) if isinstance(length, DataError)}
    if args.top_k is None:
        found = tagger.tag(readable, args.tag_seconds)
        errors |= {clips.readable_rows[index]: error for index, error in found.errors.items()}
        if not args.output_df:  # else scoring has told of them
            report_bad_clips(None, clips.fnames, errors)
        print_tags(found)
    if wants_times:
        found = tagger.time(readable, args.tag_seconds, args.hop_seconds)
        errors |= {clips.readable_rows[index]: error for index, error in found.errors.items()}
        write_times(args, experiments, times, found, dict(zip(clips.fnames, clips.paths, strict=True)))
    return errors


def print_tags(found: Tags) -> None:
    """A line for each recording: its tags, or that none of the classes applies."""
    fnames = [heard.fname for heard in found.heard]
    width = max(map(len, fnames), default=0)
    for fname in fnames:
        print(f"{fname:{width}}  {tags_in_words(found.table, fname)}")


def write_times(
    args: argparse.Namespace,
    experiments: list[Experiment],
    times: dict[str, Path],
    found: Tags,
    paths: dict[str, Path],
) -> None:
    """The timeline's table, label files and page, as far as they are asked for."""
    n_recordings, table = len(found.heard), rounded(found.table)
    if "timeline" in times:
        write_table(times["timeline"], table)
        console.note(f"{times['timeline']}: stretches: {len(table)}, recordings: {n_recordings}")
    if args.audacity:
        write_labels(Path(args.audacity), table, [heard.fname for heard in found.heard])
        console.note(f"{args.audacity}: label files: {n_recordings}")
    if "page" in times:
        media = ClipMedia(experiments[0].config.features, MAX_PAGE_SECONDS)
        name = ", ".join(experiment.directory.resolve().name for experiment in experiments)
        data = timeline_data(name, table, {heard.fname: paths[heard.fname] for heard in found.heard}, media)
        write_text(times["page"], timeline_page(data))
        console.note(f"{times['page']}: recordings: {n_recordings}")


def report(args: argparse.Namespace, clips: ClipsToPredict, scores: Scores) -> None:
    """What was written, and with --top_k what each readable clip sounds like."""
    if args.output_df:
        networks = f"{scores.n_networks} networks of {', '.join(args.experiment)}"
        console.note(f"{Path(args.output_df)}: {len(clips.fnames)} clips, {networks}")
    if args.top_k is not None:
        predictions = scores.predictions
        width = max(map(len, predictions.fnames))
        for fname, row in zip(predictions.fnames, predictions.probabilities, strict=True):
            print(f"{fname:{width}}  {in_words(row, predictions.classes, args.top_k)}")


if __name__ == "__main__":
    run_script(main)
