"""Clips that are the same sound, and those that belong together."""

from functools import partial

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from toolkit.clips.identity import joined_groups, sound_digest
from toolkit.clips.sound_files import read_audio, read_header

RATE = 44_100


def written(path, samples, **options) -> str:
    soundfile.write(path, samples, options.pop("rate", RATE), **options)
    return sound_digest(partial(read_audio, path), read_header(path).n_samples)


def noise(n_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9000, 9000, n_samples).astype(np.int16)


@pytest.mark.parametrize("n_samples", [1, 500, 6144, 6145, 50_000])
def test_the_same_sound_has_one_digest_in_any_lossless_format_and_under_any_name(tmp_path, n_samples):
    samples = noise(n_samples)
    first = written(tmp_path / "a.wav", samples)
    others = [
        written(tmp_path / "other name.flac", samples),
        written(tmp_path / "c.aiff", samples),
        written(tmp_path / "d.wav", samples, subtype="PCM_24"),
        written(tmp_path / "e.wav", np.stack([samples, samples], axis=1)),
    ]
    if n_samples > 1:
        assert len(first) == 16 and others == [first] * 4


def test_other_sounds_have_other_digests(tmp_path):
    samples = noise(50_000)
    later = samples.copy()
    later[25_000:] = noise(25_000, seed=1)
    sounds = [samples, samples[:-1], later, noise(50_000, seed=2), samples[::-1]]
    assert len({written(tmp_path / f"{i}.wav", sound) for i, sound in enumerate(sounds)}) == 5


def test_silence_and_what_cannot_be_read_have_none(tmp_path):
    assert written(tmp_path / "silent.wav", np.zeros(50_000, dtype=np.int16)) == ""
    assert written(tmp_path / "constant.wav", np.full(50_000, 0.25)) == ""
    (tmp_path / "text.wav").write_text("no sound")
    assert sound_digest(partial(read_audio, tmp_path / "text.wav"), 50_000) == ""


def test_groups_are_joined_by_any_mark_directly_or_through_others():
    marks = [["a"], ["b"], [], ["a", "x"], ["x", "c"], ["d"], ["b"], []]
    names = joined_groups(marks)
    assert names[0] == names[3] == names[4] != "" and names[1] == names[6] not in ("", names[0])
    assert [names[i] for i in (2, 5, 7)] == ["", "", ""]


@given(st.lists(st.lists(st.integers(0, 12), max_size=3), max_size=25))
def test_joined_groups_are_the_components_of_a_slow_search(marks):
    names = joined_groups(marks)
    for first, own in enumerate(marks):
        reached, todo = {first}, [first]
        while todo:
            clip = todo.pop()
            near = {other for other, its in enumerate(marks) if set(its) & set(marks[clip])} - reached
            reached |= near
            todo += near
        assert {other for other, name in enumerate(names) if name and name == names[first]} | {
            first
        } == reached
        assert (names[first] == "") == (len(reached) == 1) or not own
