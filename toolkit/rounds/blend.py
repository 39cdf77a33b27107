"""The last rounds' predictions made one: each trained on other labels, and errs in its own way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ops.blending import logit_mean
from ops.metrics import lwlrap
from toolkit.clips.labels import encode_labels
from toolkit.clips.tables import read_table
from toolkit.prediction.blending import read_member, read_member_out_of_fold, stacked
from toolkit.runs.experiment import Experiment
from toolkit.runs.predictions import Predictions, write_predictions


def write_blend(experiments: Sequence[Experiment], path: Path) -> float:
    """Writes the blend of the experiments' test predictions; returns lwlrap of that of out-of-fold ones.

    Both are means of logits, so that no shift of all of a clip's scores counts, which LSEP leaves free. No
    fold of any round trained on the curated clips that it validates: the blend of these is out of fold, too.
    """
    write_predictions(path, _blend(experiments, read_member))
    blend, data = _blend(experiments, read_member_out_of_fold), experiments[0].config["data"]
    labels = read_table(data["train_df"], ["fname", "labels"]).set_index("fname")["labels"]
    class_map = {name: index for index, name in enumerate(blend.classes)}
    truth = encode_labels(labels[blend.fnames], class_map, data["train_df"], blend.fnames)
    return lwlrap(truth, blend.probabilities)


def _blend(experiments: Sequence[Experiment], read: Callable[[str], Predictions]) -> Predictions:
    paths = [str(experiment.directory) for experiment in experiments]
    tables = [read(path) for path in paths]
    if len(tables) == 1:
        return tables[0]  # to the last bit
    return Predictions(tables[0].fnames, tables[0].classes, logit_mean(stacked(tables, paths)))
