"""The pages' data and files, without a browser."""

import base64
import io
import json
import re

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import report_experiment
import review_labels
import train_2d_cnn
from ops.errors import DataError
from ops.metrics import lwlrap
from page_data import (
    AFTER,
    CLASSES,
    FNAMES,
    IMAGE,
    SCORES,
    data_of,
    make_experiment,
    make_report,
    make_review,
)
from toolkit.pages.clip_media import ClipMedia, _pooled, encode_mp3
from toolkit.pages.review import choose_clips, relative_url
from toolkit.pages.template import build_page, json_for_script

# The template.


@given(st.recursive(st.text() | st.floats() | st.integers() | st.none(), st.lists, max_leaves=8))
def test_data_never_leave_their_script_element(value):
    text = json_for_script(value)
    assert not re.search("[<>&\u2028\u2029]", text)
    back = json.loads(text)
    assert json_for_script(back) == text  # what JSON lacks became null, the rest came back


def test_the_title_is_escaped_and_the_policy_names_the_very_scripts():
    page = build_page("<script>&\"'", "report", ["base"], ["dom"], {})
    assert "<title>&lt;script&gt;&amp;&quot;&#x27;</title>" in page
    policy = re.search('Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src &#x27;none&#x27;") and "unsafe" not in policy
    assert "http" not in policy and not re.search(r"(src|href)=.https?:", page)


# A clip's sound and picture.


def content(uri: str) -> io.BytesIO:
    return io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))


@pytest.mark.parametrize("samples", [1, 441, 44100])
def test_the_sound_has_the_clips_length_and_tone(samples):
    audio = (0.3 * np.sin(2 * np.pi * 1000 * np.arange(samples) / 44100)).astype(np.float32)
    decoded, rate = soundfile.read(io.BytesIO(encode_mp3(audio)))
    assert rate == 44100 and len(decoded) == samples
    if samples == 44100:
        assert np.abs(np.fft.rfft(decoded)).argmax() == 1000
        assert decoded.std() == pytest.approx(audio.std(), rel=0.1)


def test_a_tone_is_a_bright_line_at_its_height(tmp_path):
    for hertz in (500, 5000):
        tone = 0.5 * np.sin(2 * np.pi * hertz * np.arange(44100) / 44100)
        soundfile.write(tmp_path / "tone.wav", tone, 44100)
        found = ClipMedia("stft_512_512", 10).of(tmp_path / "tone.wav")
        image = Image.open(content(found["picture"])).convert("L")
        assert image.size == (87, 128)  # 257 bins, two or three a row
        middle = np.asarray(image)[:, 40]
        height = 1 - (middle.argmax() + 0.5) / len(middle)
        assert height * 22050 == pytest.approx(hertz, abs=200)


def test_a_long_clip_is_cut_and_says_so(tmp_path):
    soundfile.write(tmp_path / "long.wav", np.zeros(3 * 8000), 8000)
    found = ClipMedia("mel_2048_64_128", 1.5).of(tmp_path / "long.wav")
    assert (found["seconds"], found["whole_seconds"]) == (1.5, 3.0)
    assert len(soundfile.read(content(found["sound"]))[0]) == 1.5 * 44100
    assert Image.open(content(found["picture"])).size == (480, 128)  # of 1034 frames
    whole = ClipMedia("mel_2048_64_128", 3).of(tmp_path / "long.wav")
    assert whole["seconds"] == whole["whole_seconds"] == 3.0


def test_an_unreadable_clip_is_a_message(tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    media = ClipMedia("mel_512_512_16", 1)
    assert "cannot be read" in media.of(tmp_path / "bad.wav")["error"]
    assert "does not exist" in media.of(tmp_path / "none.wav")["error"]
    soundfile.write(tmp_path / "one.wav", [0.5], 44100)
    assert Image.open(content(media.of(tmp_path / "one.wav")["picture"])).size == (1, 16)


def test_pooling_takes_means_of_equal_shares():
    rows = np.arange(5.0)[:, None]
    np.testing.assert_array_equal(_pooled(rows, 2), [[0.5], [3.0]])
    assert _pooled(rows, 5) is rows


def test_ten_seconds_of_noise_stay_within_what_the_help_says(tmp_path):
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 441000), 44100)
    found = ClipMedia("mel_2048_1024_128", 10).of(tmp_path / "noise.wav")
    assert len(found["sound"]) + len(found["picture"]) < 130_000


# The report.


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    return make_experiment(tmp_path_factory.mktemp("report"))


def test_the_reports_numbers(experiment):
    data = data_of(make_report(experiment, "--max_clips=4"))
    assert data["n_clips"] == 6 and len(data["folds"]) == 2
    truth = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]])
    assert data["metric"] == pytest.approx(lwlrap(truth, SCORES), abs=1e-12)
    assert data["folds"][0]["epochs"][2] == [2, 1, 0.7, 1.5, 0.5, 0.001]
    assert data["folds"][1]["metric"] is None and data["folds"][1]["finished"]
    rows = {row["name"]: row for row in data["classes"]}
    assert {name: row["clips"] for name, row in rows.items()} == dict(zip(CLASSES, (3, 1, 1, 2), strict=True))
    # Ranks of Bark's own label: 1; 3 with one true label above; 2.
    assert rows["Bark"]["lwlrap"] == pytest.approx((1 + 2 / 3 + 1 / 2) / 3)
    assert data["classes"][0]["lwlrap"] == min(row["lwlrap"] for row in data["classes"])
    assert sum(row["cost"] for row in data["confusions"]) == pytest.approx(1 - data["metric"])
    assert sum(row["share"] for row in data["confusions"]) == pytest.approx(1)
    # The third clip's Übung has the rank 4 (ties count): three wrong classes above it.
    assert data["clips"][0]["fname"] == IMAGE and data["clips"][0]["lrap"] == 0.25
    assert data["clips"][0]["scores"][0] == ["Bark", 0.9, 1] and data["clips"][0]["fold"] == 0
    assert len(data["clips"]) == 3  # the others are right


def test_a_report_of_a_real_experiment(training_flags, only_experiment, toy, tmp_path, capsys):
    train_2d_cnn.main(training_flags("--folds", "1", epochs=1))
    page = tmp_path / "report.html"
    report_experiment.main([f"--experiment={only_experiment()}", f"--output={page}", "--max_clips=2"])
    assert "1 of 2 folds finished, 2 clips" in capsys.readouterr().out
    data = data_of(page)
    recorded = json.loads((only_experiment() / "results.json").read_text())["fold1"]["metric"]
    assert data["metric"] == pytest.approx(recorded)
    assert [fold["fold"] for fold in data["folds"]] == [1] and len(data["folds"][0]["epochs"]) == 1
    assert all(clip["sound"].startswith("data:audio/mpeg") for clip in data["clips"])


def test_before_a_fold_is_finished_there_are_curves_only(tmp_path):
    experiment = make_experiment(tmp_path)
    (experiment.directory / "results.json").unlink()
    data = data_of(make_report(experiment))
    assert len(data["folds"][0]["epochs"]) == 3 and not data["clips"] and data["metric"] is None


def test_moved_data_are_named_and_given_by_flags(tmp_path):
    experiment = make_experiment(tmp_path)
    moved = tmp_path / "moved"
    moved.mkdir()
    experiment.clips.rename(moved / "clips")
    with pytest.raises(DataError, match="--train_data_dir"):
        make_report(experiment)
    experiment.table.rename(moved / "train.csv")
    with pytest.raises(DataError, match="train.csv.*does not exist.*--train_df"):
        make_report(experiment)
    assert not experiment.page.exists()
    make_report(experiment, f"--train_df={moved / 'train.csv'}", f"--train_data_dir={moved / 'clips'}")
    assert len(data_of(experiment.page)["clips"]) == 3
    (moved / "train.csv").write_text("fname,labels\nplain.wav,Bark\n")
    with pytest.raises(DataError, match="5 missing in all.*--train_df"):
        make_report(experiment, f"--train_df={moved / 'train.csv'}")


# The review.


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
