"""Paths of clips stay in their folder; unusable clips are counted and named."""

import numpy as np
import pytest
import soundfile

from ops.errors import DataError
from ops.sampling import SAMPLE_RATE
from sounds import NOISE, STEPS, encoded, patched
from toolkit.clips.checks import probe_clips, raise_if_any
from toolkit.clips.report import check_headers
from toolkit.clips.sound_files import read_audio
from toolkit.clips.sources import Source, clip_path


@pytest.fixture
def data_dir(tmp_path):
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "data_2").mkdir()
    for path in ("secret.wav", "data_2/a.wav", "data/a.wav", "data/sub/b.wav"):
        soundfile.write(tmp_path / path, STEPS, SAMPLE_RATE)
    (folder / "out.wav").symlink_to("../secret.wav")
    (folder / "out").symlink_to("../data_2")
    (folder / "in.wav").symlink_to("sub/b.wav")
    (folder / "dangling_out.wav").symlink_to("../nowhere.wav")
    return folder


@pytest.mark.parametrize(
    "fname",
    ["/etc/passwd", "..", "../secret.wav", "sub/../../secret.wav", "../data_2/a.wav", "out.wav", "out/a.wav",
     "dangling_out.wav", "a\0.wav", "\0", "", ".", "./", "sub/.."],
)  # fmt: skip
def test_unsafe_names_are_refused(fname, data_dir):
    with pytest.raises(DataError, match="leads out of its folder") as raised:
        clip_path(data_dir, fname)
    assert repr(fname) in str(raised.value) and len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("fname", ["a.wav", "./a.wav", "sub/b.wav", "sub/../a.wav", "in.wav"])
def test_safe_names_lead_to_their_clip(fname, data_dir, monkeypatch):
    np.testing.assert_array_equal(read_audio(clip_path(data_dir, fname)), STEPS)
    monkeypatch.chdir(data_dir.parent)
    np.testing.assert_array_equal(read_audio(clip_path("data", fname)), STEPS)
    monkeypatch.chdir(data_dir)
    np.testing.assert_array_equal(read_audio(clip_path(".", fname)), STEPS)


def test_the_folder_itself_may_be_a_link(data_dir):
    link = data_dir.parent / "link"
    link.symlink_to(data_dir)
    assert clip_path(link, "a.wav") == link / "a.wav"
    with pytest.raises(DataError):
        clip_path(link, "../secret.wav")


def test_probe_clips_keeps_the_order_of_the_table(data_dir):
    soundfile.write(data_dir / "long.wav", np.zeros(48000), 48000)
    paths, lengths = probe_clips(["long.wav", "missing.wav", "a.wav"], data_dir, "t.csv")
    assert paths[0] == data_dir / "long.wav" and paths[2] == data_dir / "a.wav"
    assert lengths[0] == SAMPLE_RATE and lengths[2] == len(STEPS)
    assert isinstance(lengths[1], DataError) and "missing.wav" in str(lengths[1])


def test_probe_clips_stops_at_unsafe_names(data_dir):
    with pytest.raises(DataError, match="'../secret.wav' leads out"):
        probe_clips(["a.wav", "../secret.wav"], data_dir, "t.csv")


def test_a_damaged_clip_shows_when_it_is_decoded(data_dir):
    whole = encoded(data_dir / "tmp", NOISE, format="FLAC")
    (data_dir / "cut.flac").write_bytes(patched(whole, len(whole) // 2, bytes(5000)))
    fnames = ["cut.flac", "a.wav"]
    assert probe_clips(fnames, data_dir, "t.csv")[1] == [len(NOISE), len(STEPS)]
    table = data_dir.parent / "t.csv"
    table.write_text("fname\ncut.flac\na.wav\n")
    assert check_headers([Source(str(table), str(data_dir), "test")], {}) == []
    source = Source(str(table), str(data_dir), "test")
    (problem,) = check_headers([source], {}, decode=True)
    assert problem.kind == "decoded in part" and problem.detail.startswith("only 0.")
    assert source.clips["a.wav"][1] == len(STEPS)


def test_unusable_clips_are_counted_and_ten_are_named(data_dir):
    fnames = [f"missing_{i:02}.wav" for i in range(12)]
    _, errors = probe_clips(fnames, data_dir, "table.csv")
    with pytest.raises(DataError) as raised:
        raise_if_any(errors, "table.csv")
    message = str(raised.value)
    assert message.startswith("table.csv: 12 of its clips cannot be used: ") and "; and 2 more" in message
    assert [name in message for name in fnames] == [True] * 10 + [False] * 2
    assert len(message.splitlines()) == 1
    raise_if_any([], "table.csv")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="expected the folder with the clips of t.csv"):
        probe_clips(["a.wav"], tmp_path / "nowhere", "t.csv")
