"""Missing files name the nearest."""

import pytest

from ops.errors import DataError
from toolkit.clips.tables import read_table
from toolkit.system.files import read_json
from toolkit.system.suggestions import nearest_path


def test_missing_files_name_the_nearest(tmp_path):
    (tmp_path / "train_curated.csv").write_text("fname\n1\n")
    for read in (lambda path: read_table(path, ["fname"]), lambda path: read_json(path, "JSON")):
        with pytest.raises(DataError, match=r"nearest: '.*/train_curated\.csv'"):
            read(tmp_path / "train_currated.csv")
    folder = tmp_path.with_name(tmp_path.name + "x")
    assert nearest_path(folder / "train_curated.csv") == f" (nearest: {str(tmp_path)!r})"
    assert nearest_path(tmp_path / "unlike.flac") == ""
