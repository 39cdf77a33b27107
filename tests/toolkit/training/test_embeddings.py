"""Embeddings of clips: computed once, found by content, computed anew where damaged."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from ops.errors import DataError
from ops.sampling import SAMPLE_RATE
from run_configs import run_config
from tiny_backbones import SIZE, onnx_backbone
from toolkit.clips.cache import ClipCache
from toolkit.clips.loading import Clip
from toolkit.system.interruption import Interrupted
from toolkit.system.runtime import Runtime
from toolkit.training import embeddings
from toolkit.training.backbones import ClipEmbedder, describe
from toolkit.training.embeddings import embeddings_of

CPU = Runtime(device=torch.device("cpu"), num_workers=0)


@pytest.fixture
def config(tmp_path):
    """A config of a head on the tiny ONNX network's embeddings."""
    network = {"kind": "embedding", "n_classes": 2, **describe(onnx_backbone(tmp_path / "backbone"))}
    whole = run_config()
    return replace(whole, network=network)


@pytest.fixture
def clips(tmp_path):
    """Three clips of noise, of unequal lengths."""
    found = []
    for number, n_samples in enumerate((30_000, 9_000, 50_000)):
        path = tmp_path / f"{number}.wav"
        signal = np.random.default_rng(number).uniform(-0.5, 0.5, n_samples)
        soundfile.write(path, signal, SAMPLE_RATE)
        found.append(Clip(path.name, path, n_samples))
    return found


@pytest.fixture
def embedded(monkeypatch):
    """The number of samples of each clip that was embedded, in order."""
    found, call = [], ClipEmbedder.__call__

    def counted(self, signal, lengths):
        found.extend(lengths.tolist())
        return call(self, signal, lengths)

    monkeypatch.setattr(ClipEmbedder, "__call__", counted)
    return found


def vectors_of(config, clips, tmp_path, runtime=CPU):
    reading = embeddings_of([config], runtime, tmp_path / "experiments").prepared(clips, runtime, None)
    return np.stack([reading.cache.read(clip.path) for clip in clips])


def test_what_was_computed_is_found_by_content_under_other_names(config, clips, tmp_path, embedded):
    first = vectors_of(config, clips, tmp_path)
    assert first.shape == (3, 2 * SIZE) and first.dtype == np.float32
    assert sorted(embedded) == [9_000, 30_000, 50_000]
    copies = [replace(clip, path=tmp_path / f"copy_{clip.fname}") for clip in clips]
    for clip, copy in zip(clips, copies, strict=True):
        shutil.copy(clip.path, copy.path)
    assert (vectors_of(config, [*copies, *clips], tmp_path)[:3] == first).all()
    assert len(embedded) == 3
    soundfile.write(clips[0].path, np.zeros(30_000), SAMPLE_RATE)
    assert (vectors_of(config, clips, tmp_path)[1:] == first[1:]).all() and len(embedded) == 4


def test_clips_of_one_content_are_computed_once(config, clips, tmp_path, embedded):
    twin = replace(clips[1], path=tmp_path / "twin.wav")
    shutil.copy(clips[1].path, twin.path)
    found = vectors_of(config, [clips[1], twin], tmp_path)
    assert (found[0] == found[1]).all() and embedded == [9_000]


@pytest.mark.parametrize(
    "damage", [lambda content: content[:50], lambda content: b"", lambda content: b"x" * 400]
)
def test_a_damaged_embedding_is_computed_anew(damage, config, clips, tmp_path, embedded):
    first = vectors_of(config, clips, tmp_path)
    for file in (tmp_path / "experiments").rglob("*.npz"):
        file.write_bytes(damage(file.read_bytes()))
    assert (vectors_of(config, clips, tmp_path) == first).all() and len(embedded) == 6


def test_a_window_has_an_embedding_of_its_own_and_other_segments_that_of_the_whole(config, clips, tmp_path):
    window = replace(clips[2], start=10_000, n_samples=20_000)
    reading = embeddings_of([config], CPU, tmp_path).prepared([*clips, window], CPU, None)
    read = reading.cache.read
    own, whole = window.read(read), clips[2].read(read)
    assert not np.allclose(own, whole)
    assert (read(clips[2].path, 5, 20_000) == whole).all()
    part = tmp_path / "part.wav"
    soundfile.write(part, soundfile.read(clips[2].path)[0][10_000:30_000], SAMPLE_RATE)
    assert vectors_of(config, [Clip("part", part, 20_000)], tmp_path)[0] == pytest.approx(own, rel=1e-5)


def test_a_clip_that_cannot_be_read_says_so_when_it_is_read(config, clips, tmp_path):
    clips[0].path.write_bytes(b"no sound")
    gone = replace(clips[1], path=tmp_path / "gone.wav")
    embeddings = embeddings_of([config], CPU, tmp_path)
    read = embeddings.prepared([*clips, gone], CPU, None).cache.read
    assert clips[2].read(read).shape == (2 * SIZE,)
    for clip, told in ((clips[0], "0.wav: cannot be read as audio"), (gone, "gone.wav: .* does not exist")):
        with pytest.raises(DataError, match=told):
            clip.read(read)


def test_what_was_done_when_it_was_stopped_is_not_done_again(config, clips, tmp_path, embedded, monkeypatch):
    class Stop:
        calls = 0

        def check(self):
            self.calls += 1
            if self.calls == 3:
                raise Interrupted

    monkeypatch.setattr(
        embeddings, "batches_by_length", lambda lengths, size: [[n] for n in range(len(lengths))]
    )
    with pytest.raises(Interrupted):
        embeddings_of([config], CPU, tmp_path / "experiments").prepared(clips, CPU, Stop())
    assert len(embedded) == 2
    vectors_of(config, clips, tmp_path)
    assert len(embedded) == 3


def test_another_backbone_than_the_heads_is_refused_but_not_needed_for_kept_clips(config, clips, tmp_path):
    first = vectors_of(config, clips[:2], tmp_path)
    onnx_backbone(tmp_path / "backbone", hop_samples=500)
    assert (vectors_of(config, clips[:2], tmp_path) == first).all()
    with pytest.raises(
        DataError, match=f"digest {config.embedding[1]}, found another, .* put that one in its place"
    ):
        vectors_of(config, clips, tmp_path)
    shutil.rmtree(tmp_path / "backbone")
    with pytest.raises(DataError, match="expected an ONNX file, it does not exist"):
        vectors_of(config, clips, tmp_path)


def test_networks_of_different_input_are_not_mixed_and_the_cache_is_where_it_is_said(config, clips, tmp_path):
    assert embeddings_of([run_config()], CPU, tmp_path) is None
    with pytest.raises(
        DataError, match="different forms .onnx:.*tiny.onnx, waveforms.; predict with each alone"
    ):
        embeddings_of([run_config(), config], CPU, tmp_path)
    vectors_of(config, clips, tmp_path, replace(CPU, cache=ClipCache(tmp_path / "cache")))
    assert len(list((tmp_path / "cache" / "embeddings" / config.embedding[1]).rglob("*.npz"))) == 3
    assert not (tmp_path / "experiments").exists()
