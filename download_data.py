#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Download a public data set and lay it out as the other scripts expect it.

    python download_data.py fsdkaggle2019 --output_dir data/
    python download_data.py esc50 --output_dir data/esc50 --test_folds 5
    python download_data.py arca23k --output_dir data/arca23k

fsdkaggle2019: Freesound Audio Tagging 2019, Zenodo record 3612637. train_curated/, train_noisy/ and test/
with train_curated.csv, train_noisy.csv, test_truth.csv (with the column usage: Public or Private) and
sample_submission.csv; the tables keep Freesound and Flickr ids and licences as further columns. The
release's own tables, README and licence are in fsdkaggle2019/.

esc50: the ESC-50 repository's archive. Its folds 1 to 4 become train_curated/, its fold 5 test/, unless
flags say otherwise. The curated table has the columns fold (counted from 0: training takes these folds) and
group (clips of one recording); train with --n_folds 4, or as many as there are curated folds. README, licence
and its own table are in esc50/.

fsdd: the Free Spoken Digit Dataset 1.0.10, 3,000 recordings of six speakers at 8 kHz (CC-BY-SA 4.0), by the
division of its README: recordings 0 to 4 of each digit and speaker become test/, the others train_curated/.
The column group names the speaker, so that folds keep speakers apart. The release's README is in fsdd/.

fsdnoisy18k, arca23k, fsd50k: verified clips of Freesound and clips with real label noise, Zenodo records
2529934, 5117901 and 4060432; docs/noise.md tells what each part holds. The releases' own tables and licences
are in a folder called as the data set.

An interrupted run goes on where it stood when the same command is given again, a finished one does nothing.
Archives lie in <output_dir>/archives/ until they are unpacked; those that you put there yourself are used.
"""

import argparse
import re
from pathlib import Path

from toolkit.cli.parser import EXIT_BAD_CLIPS, make_parser, number, run_script
from toolkit.download.digits import install_fsdd
from toolkit.download.freesound_data import DATA_SETS, install_freesound_data
from toolkit.download.public_data import FSDKAGGLE2019, GITHUB, install_esc50, install_fsdkaggle2019
from toolkit.download.releases import Release
from toolkit.download.zenodo import ZENODO
from toolkit.system import console

PARTS = {"fsdkaggle2019": FSDKAGGLE2019, **{name: of.parts for name, of in DATA_SETS.items()}}
OF_GITHUB = {"esc50": "it takes --curated_folds and --test_folds", "fsdd": "it is small, and comes whole"}
FOLD = number(int, 1, high=5)


def base_url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", text):
        raise argparse.ArgumentTypeError(f"expected http://... or https://..., got {text!r}")
    return text.rstrip("/")


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("data_set", choices=("fsdkaggle2019", *OF_GITHUB, *DATA_SETS), help="which one")
    parser.add_argument("--output_dir", required=True, help="folder to lay it out in")
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=tuple(dict.fromkeys(part for parts in PARTS.values() for part in parts)),
        metavar="PART",
        help="; ".join(f"of {name}: {', '.join(parts)}" for name, parts in PARTS.items()) + "; default: all",
    )
    parser.add_argument(
        "--curated_folds", type=FOLD, nargs="+", help="of esc50; without it all but the test folds"
    )
    parser.add_argument("--test_folds", type=FOLD, nargs="+", help="of esc50; without it fold 5")
    parser.add_argument("--keep_archives", action="store_true", help="keep what was downloaded, too")
    parser.add_argument(
        "--retries",
        type=number(int, 0),
        default=6,
        help="tries in a row, without a new byte, after the first",
    )
    parser.add_argument("--base_url", type=base_url, help=f"a mirror, in place of {ZENODO} or {GITHUB}")
    args = parser.parse_args(argv)
    if args.data_set in OF_GITHUB and args.parts:
        parser.error(
            f"--parts belongs to {', '.join(PARTS)}, not to {args.data_set}; {OF_GITHUB[args.data_set]}"
        )
    if args.data_set != "esc50" and (args.curated_folds or args.test_folds):
        others = f"; {args.data_set} takes --parts" if args.data_set in PARTS else f", not to {args.data_set}"
        parser.error(f"--curated_folds and --test_folds belong to esc50{others}")
    there = PARTS.get(args.data_set, {})
    unknown = sorted(set(args.parts or ()) - set(there))
    if unknown:
        parser.error(f"--parts: {args.data_set} has {', '.join(there)}; got {unknown[0]}")
    args.test_folds = sorted(set(args.test_folds or [5]))
    args.curated_folds = sorted(set(args.curated_folds or {1, 2, 3, 4, 5} - set(args.test_folds)))
    both = set(args.curated_folds) & set(args.test_folds)
    if both:
        parser.error(f"--curated_folds and --test_folds: expected no fold in both, got {min(both)}")
    if not args.curated_folds:
        parser.error("--test_folds: expected at least one fold less, for training; got all five")
    return args


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    origin = {"data_set": args.data_set}
    if args.data_set == "esc50":
        origin |= {"curated_folds": args.curated_folds, "test_folds": args.test_folds}
    release = Release(args.output_dir, origin, args.retries, args.keep_archives)
    with release.locked():
        if args.data_set == "esc50":
            problems = install_esc50(release, args.base_url or GITHUB, args.curated_folds, args.test_folds)
        elif args.data_set == "fsdd":
            problems = install_fsdd(release, args.base_url or GITHUB)
        else:
            url, parts = args.base_url or ZENODO, args.parts or list(PARTS[args.data_set])
            if args.data_set == "fsdkaggle2019":
                problems = install_fsdkaggle2019(release, url, parts)
            else:
                problems = install_freesound_data(release, url, args.data_set, parts)
    for problem in problems:
        console.warn(problem)
    console.note(f"{Path(args.output_dir)}: {args.data_set} is complete; next: create_class_map.py")
    return EXIT_BAD_CLIPS if problems else 0


if __name__ == "__main__":
    run_script(main)
