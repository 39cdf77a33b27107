"""Small experiments and relabelings with hostile names, for the tests of the pages."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import soundfile

import report_experiment
import review_labels
from run_configs import run_config
from toolkit.clips.tables import write_table
from toolkit.runs.history import EpochResult, record_epoch
from toolkit.runs.predictions import Predictions, write_predictions

SCRIPT = "</script><script>document.title='hacked'</script>"  # as a file: in folders
IMAGE = "<img src=x onerror=document.title='hacked'>.wav"
CLASSES = ["Bark", "Bell <b>&amp;", SCRIPT, "Übung"]
FNAMES = ["plain.wav", 'comma, "quoted".wav', IMAGE, f"{SCRIPT}.wav", "Zürich 鳥 #1 100%.wav", " space?.wav"]


def write_clips(folder: Path, fnames=FNAMES, seconds: float = 2.0) -> None:
    for number, fname in enumerate(fnames, start=1):
        path = folder / fname
        path.parent.mkdir(parents=True, exist_ok=True)
        tone = 0.2 * np.sin(2 * np.pi * 440 * number * np.arange(int(seconds * 44100)) / 44100)
        soundfile.write(path, tone, 44100)


# Labels before and after relabeling (None: dropped), and the probabilities, of FNAMES.
BEFORE = ["Bark", CLASSES[1], "Übung", f"Bark,{CLASSES[2]}", "Übung", "Bark"]
AFTER = ["Bark", CLASSES[1], None, CLASSES[2], "Übung,Bark", None]
SCORES = np.array(
    [
        [0.9, 0.1, 0.1, 0.2],  # margin 3.58
        [0.3, 0.5, 0.1, 0.1],  # 0.85
        [0.9, 0.2, 0.1, 0.1],  # -4.39
        [0.2, 0.1, 0.8, 0.3],  # -0.54
        [0.6, 0.1, 0.1, 0.7],  # 0.44
        [0.2, 0.1, 0.4, 0.1],  # -0.98
    ]
)


def make_review(folder: Path, *flags: str, **tables) -> SimpleNamespace:
    """A page of the relabeling above; tables may replace its parts, and add weights and further columns."""
    fnames, before = tables.get("fnames", FNAMES), tables.get("before", BEFORE)
    after, scores = tables.get("after", AFTER), tables.get("scores", SCORES)
    clips = folder / "clips"
    if not clips.exists():
        clips.mkdir(parents=True)
        if "fnames" not in tables:
            write_clips(clips)
    paths = {name: folder / f"{name}.csv" for name in ("noisy", "relabeled", "predictions")}
    write_table(paths["noisy"], pd.DataFrame({"fname": fnames, "labels": before} | tables.get("further", {})))
    kept = [(f, a) for f, a in zip(fnames, after, strict=True) if a is not None]
    relabeled = pd.DataFrame(kept, columns=["fname", "labels"])
    if "weights" in tables:
        relabeled["weight"] = tables["weights"]
    write_table(paths["relabeled"], relabeled)
    classes = tables.get("classes", CLASSES)
    write_predictions(paths["predictions"], Predictions(list(fnames), classes, np.asarray(scores)))
    page = folder / "review.html"
    review_labels.main(
        [f"--noisy_df={paths['noisy']}", f"--relabeled_df={paths['relabeled']}", f"--output={page}"]
        + [f"--noisy_predictions_df={paths['predictions']}", f"--noisy_data_dir={clips}"]
        + ["--features=mel_512_512_16", *flags]
    )
    return SimpleNamespace(page=page, clips=clips, **paths)


def make_experiment(folder: Path) -> SimpleNamespace:
    """Two folds, three epochs, of FNAMES with the labels BEFORE and the predictions SCORES."""
    experiment, clips = folder / "try <i>-0a1b2c3d", folder / "clips"
    write_clips(clips)
    table = folder / "train.csv"
    write_table(table, pd.DataFrame({"fname": FNAMES, "labels": BEFORE}))
    for part in ("predictions", "history"):
        (experiment / part).mkdir(parents=True)
    config = run_config(
        "try <i>", train={"lr": 0.1}, classes=CLASSES, train_df=str(table), train_data_dir=str(clips)
    )
    (experiment / "config.json").write_text(json.dumps(config.to_json()))
    results = {"fold0": {"metric": 0.75, "best_epoch": 1}, "fold1": {"metric": None, "best_epoch": 2}}
    (experiment / "results.json").write_text(json.dumps(results))
    for fold in (0, 1):
        rows = slice(3 * fold, 3 * fold + 3)
        path = experiment / f"predictions/val_preds_fold_{fold}.csv"
        write_predictions(path, Predictions(FNAMES[rows], CLASSES, SCORES[rows]))
        for epoch in (0, 1, 2):
            result = EpochResult(
                epoch, 3 - epoch, 0.5 + 0.1 * epoch, 2.5 - 0.5 * epoch, 0.25 + 0.125 * epoch, 1e-3, 1.5
            )
            record_epoch(experiment / f"history/fold_{fold}.csv", result)
    return SimpleNamespace(directory=experiment, clips=clips, table=table, page=folder / "report.html")


def make_curated_review(experiment: SimpleNamespace, *flags: str) -> Path:
    """A page of the experiment's doubts of its own table."""
    page = experiment.page.with_name("review.html")
    review_labels.main([f"--experiment={experiment.directory}", f"--output={page}", *map(str, flags)])
    return page


def make_report(experiment: SimpleNamespace, *flags: str) -> Path:
    report_experiment.main(
        [f"--experiment={experiment.directory}", f"--output={experiment.page}", *map(str, flags)]
    )
    return experiment.page


def data_of(page: Path) -> dict:
    """The data that a page holds."""
    return json.loads(page.read_text().split('id="data">', 1)[1].split("</script>", 1)[0])
