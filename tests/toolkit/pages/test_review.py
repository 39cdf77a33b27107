"""The review's data and files, without a browser."""

import numpy as np
import pytest

import review_labels
from ops.errors import DataError
from page_data import AFTER, FNAMES, data_of, make_review
from toolkit.pages.review import choose_clips, relative_url


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
    with pytest.raises(DataError, match="none: expected the folder with the noisy clips"):
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
