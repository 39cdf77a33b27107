"""The review's data and files, without a browser."""

import re
import shutil

import numpy as np
import pytest

import review_labels
from ops.errors import DataError
from page_data import AFTER, BEFORE, FNAMES, data_of, make_curated_review, make_experiment, make_review
from toolkit.pages.review import choose_clips, relative_url, with_same_sounds


def test_the_reviews_rows(tmp_path, capsys):
    data = data_of(make_review(tmp_path).page)
    assert "6 clips of 6 (2 kept, 2 dropped, 2 changed)" in capsys.readouterr().out
    assert [row[0] for row in data["table"]] == FNAMES and [row[2] for row in data["table"]] == AFTER
    assert [clip["row"] for clip in data["clips"]] == [2, 5, 3, 4, 1, 0]  # most disagreement first
    assert data["clips"][0]["margin"] == pytest.approx(np.log(1 / 9) - np.log(9), abs=1e-4)
    assert [clip["status"] for clip in data["clips"]] == ["dropped"] * 2 + ["changed"] * 2 + ["kept"] * 2


def test_the_limit_is_shared_by_kept_dropped_and_changed():
    statuses = ["kept"] * 10 + ["dropped"] * 2 + ["changed"] * 10
    order = list(range(22))
    assert choose_clips(order, statuses, 10) == [0, 1, 2, 3, 10, 11, 12, 13, 14, 15]
    assert choose_clips(order, statuses, 100) == order
    assert choose_clips(order[::-1], statuses, 3) == [21, 11, 9]
    assert choose_clips(order, ["kept"] * 22, 5) == [0, 1, 2, 3, 4]


def test_clips_of_the_same_sound_follow_the_first_of_them():
    sounds = ["a", "b", "a", "", "b", "", "a", "c"]
    order = [7, 6, 5, 4, 3, 2, 1, 0]
    assert with_same_sounds([6, 5, 3], order, sounds) == [6, 2, 0, 5, 3]  # silent clips are not the same
    assert with_same_sounds([7, 4, 1], order, sounds) == [7, 4, 1]
    assert with_same_sounds([0], [0, 1, 4], sounds) == [0]  # decided ones are not shown again
    assert with_same_sounds([9], list(range(9, -1, -1)), ["a"] * 10) == [9, 8, 7, 6, 5]


def test_the_page_names_all_clips_of_the_same_sound(tmp_path):
    make_review(tmp_path)
    shutil.copy(tmp_path / "clips" / FNAMES[2], tmp_path / "clips" / FNAMES[0])
    data = data_of(make_review(tmp_path).page)
    assert [clip["row"] for clip in data["clips"]] == [2, 0, 5, 3, 4, 1]  # 0 would be the last
    assert [clip["same"] for clip in data["clips"]] == [[0], [2], [], [], [], []]
    data = data_of(make_review(tmp_path, "--max_clips=3", "--link_audio").page)
    assert [(clip["row"], clip["same"]) for clip in data["clips"]] == [(2, [0]), (0, [2]), (3, [])]


def test_doubts_of_the_table_that_an_experiment_was_trained_on(tmp_path, capsys):
    experiment = make_experiment(tmp_path)
    data = data_of(make_curated_review(experiment))
    assert "6 clips of 6, " in capsys.readouterr().out
    assert data["task"] == "curated" and data["weights"] is None
    assert data["saved_table"] == "train_reviewed.csv"
    assert data["table"] == [[*row] for row in zip(FNAMES, BEFORE, BEFORE, strict=True)]
    assert [clip["row"] for clip in data["clips"]] == [2, 5, 3, 4, 1, 0]
    assert data["clips"][0]["margin"] == pytest.approx(np.log(1 / 9) - np.log(9), abs=1e-4)


def test_clips_without_an_out_of_fold_prediction_stay_as_they_are(tmp_path, capsys):
    experiment = make_experiment(tmp_path)
    (experiment.directory / "results.json").write_text('{"fold1": {"metric": null, "best_epoch": 2}}')
    data = data_of(make_curated_review(experiment))
    assert "3 of the 6 clips have no out-of-fold prediction" in capsys.readouterr().out
    assert len(data["table"]) == 6 and [clip["row"] for clip in data["clips"]] == [5, 3, 4]
    (experiment.directory / "results.json").unlink()
    with pytest.raises(DataError, match="expected a finished fold, found none"):
        make_curated_review(experiment)


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "expected --noisy_df, .* for a relabeling, or --experiment for a curated set"),
        (["--noisy_df=a", "--noisy_data_dir=b"], "--noisy_df needs --relabeled_df, --noisy_predictions_df,"),
        (["--train_df=a"], "--train_df needs --experiment"),
        (["--noisy_df=a", "--experiment=b"], "--noisy_df is of a relabeling, --experiment of a curated set"),
    ],
)
def test_flags_of_one_task(flags, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        review_labels.parse_args([*flags, "--output=page.html"])
    assert re.search(message, " ".join(capsys.readouterr().err.split()))


def test_links_are_relative_and_encoded(tmp_path):
    page = tmp_path / "a" / "page.html"
    assert relative_url(tmp_path / "b" / "50% #1?.wav", page) == "../b/50%25%20%231%3F.wav"
    assert relative_url(tmp_path / "a" / "x:y.wav", page) == "./x%3Ay.wav"


def test_linked_pages_hold_every_clip_and_no_sound(tmp_path):
    data = data_of(make_review(tmp_path, "--link_audio").page)
    assert len(data["clips"]) == 6 and all(clip["sound"].startswith("./clips/") for clip in data["clips"])
    assert len(data_of(make_review(tmp_path, "--link_audio", "--max_clips=3").page)["clips"]) == 3


def test_linked_files_that_browsers_do_not_play_are_told(tmp_path, capsys):
    make_review(tmp_path / "played", "--link_audio")
    assert not capsys.readouterr().err
    fnames = ["0.wma", "1.WAV", "2.m4a", "3.amr", "4.mp3", "5.wma"]
    make_review(tmp_path / "others", "--link_audio", fnames=fnames)
    assert "3 linked files have endings (.amr, .wma) that browsers may not play" in capsys.readouterr().err


def test_what_is_wrong_with_the_tables_of_a_review(tmp_path):
    with pytest.raises(
        DataError, match="relabeled.csv: expected clips of .*noisy.csv only, found 'other.wav'"
    ):
        review = make_review(tmp_path)
        review.relabeled.write_text("fname,labels\nother.wav,Bark\n")
        review.page.unlink()
        flags = [f"--noisy_df={review.noisy}", f"--relabeled_df={review.relabeled}"]
        flags += [f"--noisy_predictions_df={review.predictions}", f"--output={review.page}"]
        review_labels.main([*flags, f"--noisy_data_dir={review.clips}"])
    review.relabeled.write_text("fname,labels\nplain.wav,Bark\n")
    with pytest.raises(DataError, match="none: expected the folder with the clips"):
        review_labels.main([*flags, f"--noisy_data_dir={tmp_path / 'none'}"])
    for content, message in [
        ("fname,labels\nplain.wav,Bark\n", "no column 'decision'"),
        ("fname,decision,labels\nother.wav,keep,\n", "found 'other.wav'"),
        ("fname,decision,labels\nplain.wav,burn,\n", "keep, drop, fix, found 'burn' of 'plain.wav'"),
        ("fname,decision,labels\nplain.wav,fix,\n", "expected labels for every fix.*'plain.wav'"),
        ("fname,decision,labels\nplain.wav,fix,Bork\n", "label 'Bork'.*nearest: 'Bark'"),
    ]:
        (tmp_path / "decisions.csv").write_text(content)
        with pytest.raises(DataError, match=message):
            decisions = f"--reviewed_df={tmp_path / 'decisions.csv'}"
            review_labels.main([*flags, f"--noisy_data_dir={review.clips}", decisions])
    assert not review.page.exists()
