"""Tables of tags from windows: exact times on a few windows."""

import numpy as np
import pandas as pd

from ops.sampling import SAMPLE_RATE
from toolkit.clips.loading import Clip
from toolkit.prediction.timeline import NONE, Heard, events_of, highest_of, tags_in_words, write_labels

CLASSES, THRESHOLDS = ["Bark", "Run, fast"], np.array([0.5, 0.3])
SECOND = SAMPLE_RATE


def heard(probabilities, starts=(0, 1, 2, 6), spans=((0, 4), (6, 8))) -> Heard:
    """Windows of 2 s; those from 6 s on are of the second sound."""
    edges = np.array([[start, start + 2] for start in starts]) * SECOND
    numbers = np.array([int(start >= 6) for start in starts])
    sounds = [(start * SECOND, end * SECOND) for start, end in spans]
    return Heard("a.wav", sounds, numbers, edges, np.array(probabilities, float))


def test_windows_are_joined_where_a_class_goes_on():
    found = events_of(
        [heard([[0.6, 0.0], [0.9, 0.0], [0.2, 0.31], [0.5, 0.3]])], CLASSES, THRESHOLDS
    ).to_numpy()
    # Middles at 1, 2 and 3 s: the windows speak for 0 to 1.5, 1.5 to 2.5 and 2.5 to 4 s, the last for 6 to 8.
    assert found.tolist() == [
        ["a.wav", 0.0, 2.5, "Bark", 0.9],
        ["a.wav", 2.5, 4.0, "Run, fast", 0.31],
        ["a.wav", 6.0, 8.0, "Bark", 0.5],
        ["a.wav", 6.0, 8.0, "Run, fast", 0.3],
    ]


def test_nothing_is_joined_across_silence_or_a_window_without():
    found = events_of([heard([[0.6, 0], [0.1, 0], [0.7, 0], [0.8, 0]])], CLASSES, THRESHOLDS)
    assert found[["start", "end"]].to_numpy().tolist() == [[0, 1.5], [2.5, 4], [6, 8]]


def test_nothing_heard_is_an_empty_table_with_columns():
    nothing = Heard("s.wav", [], np.empty(0, int), np.empty((0, 2), int), np.empty((0, 2)))
    assert events_of([nothing], CLASSES, THRESHOLDS).columns.tolist() == [
        *("file", "start", "end", "class", "probability")
    ]


def test_the_highest_window_counts_and_none_is_a_row():
    clips = [Clip("a.wav", None, 8 * SECOND), Clip("b.wav", None, 3 * SECOND)]
    quiet = Heard("b.wav", [], np.empty(0, int), np.empty((0, 2), int), np.empty((0, 2)))
    table = highest_of(
        [heard([[0.6, 0.0], [0.9, 0.0], [0.2, 0.95], [0.5, 0.3]]), quiet], clips, CLASSES, THRESHOLDS
    )
    assert table.iloc[:2].to_numpy().tolist() == [
        ["a.wav", 2.0, 4.0, "Run, fast", 0.95],
        ["a.wav", 1.0, 3.0, "Bark", 0.9],
    ]
    last = table.iloc[2]
    assert last["file"] == "b.wav" and pd.isna(last["class"]) and (last["start"], last["end"]) == (0, 3)
    assert tags_in_words(table, "a.wav") == "Run, fast 0.95, Bark 0.90"
    assert tags_in_words(table, "b.wav") == NONE


def test_label_files_one_for_each_recording(tmp_path):
    columns = ["file", "start", "end", "class", "probability"]
    rows = [("x/a.wav", 0.5, 1.25, "Tab\there", 0.9), ("x/a.wav", 2, 3, "Bark", 0.456)]
    write_labels(tmp_path, pd.DataFrame(rows, columns=columns), ["x/a.wav", "b.wav"])
    assert (tmp_path / "x/a.wav.txt").read_text() == (
        "0.500\t1.250\tTab here 0.90\n2.000\t3.000\tBark 0.46\n"
    )
    assert (tmp_path / "b.wav.txt").read_text() == ""
