"""create_demo_data.py where nothing can be written, and interrupted."""

import numpy as np
import pytest

import create_demo_data
from ops.errors import DataError
from toolkit.clips import demo_sounds


@pytest.mark.parametrize("output", ["/dev/null/x", "/proc/demo"])
def test_demo_data_where_nothing_can_be_written(output):
    with pytest.raises(DataError, match=f"{output}.*: cannot be written"):
        create_demo_data.main([f"--output_dir={output}"])


def test_demo_data_interrupted_leaves_nothing_behind(tmp_path, monkeypatch):
    made = []

    def stop_at_the_third(rng, labels, recipe):
        made.append(labels)
        if len(made) == 3:
            raise KeyboardInterrupt
        return np.zeros(100)

    monkeypatch.setattr(demo_sounds, "make_clip", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        create_demo_data.main([f"--output_dir={tmp_path / 'demo'}"])
    assert list((tmp_path / "demo").iterdir()) == []
