"""create_class_map.py: classes in order, and labels of no use told."""

import json

import pytest

import create_class_map
from ops.errors import DataError
from toy_data import CLASSES


def test_class_map(toy, tmp_path):
    create_class_map.main(
        [f"--train_df={toy.folder / 'train_curated.csv'}", f"--output_file={tmp_path / 'm.json'}"]
    )
    assert json.loads((tmp_path / "m.json").read_text()) == {name: i for i, name in enumerate(CLASSES)}


def test_class_names_that_look_like_several_labels_are_told(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("fname,labels\na,Bark;Run\nb,Bark\n")
    flags = [f"--train_df={tmp_path / 't.csv'}", f"--output_file={tmp_path / 'c.json'}"]
    create_class_map.main(flags)
    warning = capsys.readouterr().err
    assert (
        "1 class names look like several labels, as 'Bark;Run'; put several labels in one quoted cell"
        in warning
    )
    (tmp_path / "t.csv").write_text('fname,labels\na,"Bark,Run"\n')
    create_class_map.main(flags)
    assert not capsys.readouterr().err


def test_class_maps_of_no_use_are_told_at_once(tmp_path, capsys):
    table = tmp_path / "t.csv"
    flags = [f"--train_df={table}", f"--output_file={tmp_path / 'm.json'}"]
    table.write_text("fname,labels\na,fname\nb,Bark\n")
    with pytest.raises(DataError, match="'fname' cannot be a class"):
        create_class_map.main(flags)
    assert not (tmp_path / "m.json").exists()
    table.write_text("fname,labels\na,Bark\n")
    create_class_map.main(flags)
    assert "one class, 'Bark', leaves nothing to rank" in capsys.readouterr().err
