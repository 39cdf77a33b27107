#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Relabel noisy clips by a model's predictions: the next training run's --noisy_train_df.

    python relabel_noisy_data.py --noisy_df data/train_noisy.csv --noisy_predictions_df noisy_preds.csv \\
        --output_df data/train_noisy_round_1.csv --mode scoring_1000
"""

import argparse

import pandas as pd

from ops import cli, console
from ops.labels import decode_labels, encode_labels
from ops.predictions import read_predictions
from ops.relabeling import GRAMMAR, parse_mode
from ops.tables import read_table, write_table


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = cli.make_parser(__doc__)
    parser.add_argument("--noisy_df", required=True, help="noisy table, CSV fname,labels")
    parser.add_argument("--noisy_predictions_df", required=True, help="predictions of all its clips, CSV")
    parser.add_argument("--output_df", required=True, help="relabeled table to write, CSV fname,labels")
    parser.add_argument(
        "--mode", required=True, type=cli.parsed_by(parse_mode), help=f"strategy and parameter: {GRAMMAR}"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    strategy, parameter = parse_mode(args.mode)
    output = cli.output_path(args.output_df)
    noisy = read_table(args.noisy_df, ["fname", "labels"])
    predictions = read_predictions(args.noisy_predictions_df)
    class_map = {name: index for index, name in enumerate(predictions.classes)}
    labels = encode_labels(noisy["labels"], class_map, args.noisy_df, noisy["fname"]) > 0.5
    scores = predictions.rows_of(noisy["fname"].tolist(), args.noisy_predictions_df)

    kept, new_labels = strategy.apply(labels, scores, noisy["fname"].tolist(), parameter)
    changed = (new_labels != labels).any(axis=1) & kept
    # Labels that stay keep their spelling and order.
    cells = noisy["labels"].to_numpy(dtype=object)
    cells[changed] = decode_labels(new_labels[changed], predictions.classes)
    relabeled = pd.DataFrame({"fname": noisy["fname"], "labels": cells})[kept]
    write_table(output, relabeled)
    console.note(f"{output}: kept {kept.sum()} of {len(noisy)} clips, {changed.sum()} with changed labels")
    if strategy.whole and parameter > len(noisy):
        console.note(
            f"note: {args.mode} asks for {parameter:g} clips, the table has {len(noisy)}; all are kept"
        )
    if not kept.any():
        console.note("note: no clip is left; training will need another --mode")


if __name__ == "__main__":
    cli.run_script(main)
