#!/usr/bin/env python3
"""Make the screenshots of docs/pictures from what `make demo` left in demo/, by a headless Chromium.

    make demo
    python docs/make_pictures.py

Look at them before they are committed. (docs/pictures/loop.svg is drawn by hand.)
"""

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
COLOURS = 192  # of a picture; fewer show in the spectrograms
DEMO_FEATURES = "mel_1024_512_64"


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--demo", type=Path, default=ROOT / "demo", help="folder that `make demo` filled")
    parser.add_argument(
        "--output_dir", type=Path, default=ROOT / "docs" / "pictures", help="folder of the PNG files"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    experiment = next(iter(sorted(args.demo.glob("experiments/after-*"))), None)
    if experiment is None:
        sys.exit(
            f"error: {args.demo}: expected the experiments of the demo, found none; run `make demo` first"
        )
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if chromium is None:
        sys.exit("error: expected Chromium, found none; install it: make chromium")
    args.output_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        pages = {
            "review": (review_page(args.demo, Path(folder)), (1280, 860)),
            "report": (report_page(experiment, Path(folder)), (1280, 900)),
        }
        for name, (page, size) in pages.items():
            picture = compressed(screenshot(chromium, page, size))
            (args.output_dir / f"{name}.png").write_bytes(picture)
            print(f"{args.output_dir / name}.png: {len(picture) / 1e3:.0f} kB")


def review_page(demo: Path, folder: Path) -> Path:
    """A review of the demo's noisy clips, corrected by the model that was trained on the curated ones."""
    data, predictions = demo / "data", demo / "noisy_predictions.csv"
    relabeled, page = folder / "corrected.csv", folder / "review.html"
    tables = ["--noisy_df", data / "train_noisy.csv", "--noisy_predictions_df", predictions]
    run("relabel_noisy_data.py", *tables, "--output_df", relabeled, "--mode", "correct-soft_0.3")
    clips = ["--relabeled_df", relabeled, "--noisy_data_dir", data / "train_noisy"]
    pictures = ["--max_clips", "30", "--features", DEMO_FEATURES]
    run("review_labels.py", *tables, *clips, *pictures, "--output", page)
    return page


def report_page(experiment: Path, folder: Path) -> Path:
    page = folder / "report.html"
    run("report_experiment.py", "--experiment", experiment, "--output", page)
    return page


def run(script: str, *arguments: str | Path) -> None:
    """A script of this repository, in its root, since the demo's experiments name their clips from there."""
    subprocess.run([sys.executable, script, "--quiet", *map(str, arguments)], cwd=ROOT, check=True)


def screenshot(chromium: str, page: Path, size: tuple[int, int]) -> bytes:
    """PNG of the top of a page, size: (width, height) in pixels."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "page.png"
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--mute-audio"]
        places = [f"--user-data-dir={folder}/profile", f"--screenshot={picture}"]
        window = "--window-size={},{}".format(*size)
        command = [chromium, *flags, *places, window, page.resolve().as_uri()]
        done = subprocess.run(command, capture_output=True, text=True)
        if not picture.is_file():
            sys.exit(f"error: {page}: expected a screenshot, Chromium said:\n{done.stderr}")
        return picture.read_bytes()


def compressed(png: bytes) -> bytes:
    """The same picture with a palette, a third of the size."""
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    output = io.BytesIO()
    picture.save(output, "PNG", optimize=True)
    return output.getvalue()


if __name__ == "__main__":
    main()
