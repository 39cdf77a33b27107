"""What is told of a run's tables before it trains."""

import json

import pandas as pd

from toolkit.clips.labels import load_class_map
from toolkit.runs.clips import load_splits
from toolkit.runs.config import DataConfig, SubmissionConfig


def test_doubtful_tables_are_told_as_check_data_tells_them(toy, tmp_path):
    curated, classmap = toy.folder / "train_curated.csv", tmp_path / "classmap.json"
    classes = list(load_class_map(toy.classmap))
    data = DataConfig(
        train_df=str(curated),
        train_data_dir=str(toy.folder / "train_curated"),
        classmap=str(classmap),
        classes=classes,
        n_folds=2,
    )
    assert load_splits(data, SubmissionConfig()).notes == []

    table, changed = pd.read_csv(curated), tmp_path / "changed.csv"
    table.loc[0, "labels"] = ""
    table.loc[1, "labels"] = f"{classes[0]};{classes[1]}"
    table.to_csv(changed, index=False)
    classes = [*classes, f"{classes[0]};{classes[1]}", "Nobody"]
    classmap.write_text(json.dumps({name: index for index, name in enumerate(classes)}))
    data = DataConfig(**{**vars(data), "train_df": str(changed), "classes": classes})
    notes = load_splits(data, SubmissionConfig()).notes
    assert notes[0] == f"1 x without labels: {changed}: {table['fname'][0]}"
    assert notes[1].startswith("1 x several labels in one name: ") and repr(classes[-2]) in notes[1]
    assert notes[-1].endswith("'Nobody' has 0 groups for 2 folds") and "fewer clips than folds" in notes[-1]
