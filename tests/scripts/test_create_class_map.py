"""create_class_map.py: classes in order, and labels of no use told."""

import json

import pytest

import create_class_map
from ops.errors import DataError
from toolkit.clips.problems import DOUBTFUL_LABELS
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


def test_names_with_commas_are_written_doubled_in_cells_alone(tmp_path, capsys):
    rows = [
        "fname,labels",
        'a,"Child speech,, kid speaking,Bark"',
        "b,Bark",
        'c,"Child speech,, kid speaking"',
    ]
    (tmp_path / "t.csv").write_text("\n".join(rows) + "\n")
    create_class_map.main([f"--train_df={tmp_path / 't.csv'}", f"--output_file={tmp_path / 'c.json'}"])
    assert json.loads((tmp_path / "c.json").read_text()) == {"Bark": 0, "Child speech, kid speaking": 1}
    assert not capsys.readouterr().err


def test_names_that_look_like_mistakes_are_told_a_line_a_kind_and_kept(tmp_path, capsys):
    cells = ["Bark"] * 3 + ["Bakr", "bark", "Ba\u200brk", "nan", "['Run']"] + ["Speech, kid"] * 3
    rows = [f'{row}.wav,"{cell}"' for row, cell in enumerate(cells)]
    (tmp_path / "t.csv").write_text("\n".join(["fname,labels", *rows]))
    create_class_map.main([f"--train_df={tmp_path / 't.csv'}", f"--output_file={tmp_path / 'c.json'}"])
    assert json.loads((tmp_path / "c.json").read_text()).keys() == {*cells[:8], "Speech", "kid"}
    lines = capsys.readouterr().err.splitlines()
    expected = ["class names look like several", *DOUBTFUL_LABELS[1:]]
    assert [words in line for line, words in zip(lines, expected, strict=True)] == [True] * 6


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
