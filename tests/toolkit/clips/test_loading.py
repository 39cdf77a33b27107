"""Data sets and loaders: draws that (seed, fold, epoch, clip) decide, whatever the workers."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from ops.errors import DataError
from ops.sampling import SAMPLE_RATE
from ops.transforms import Augmentation
from toolkit.clips import loading
from toolkit.clips.cache import ClipCache
from toolkit.clips.loading import Clip, EvaluationDataset, Segments, TrainingDataset, training_loader
from toolkit.system.runtime import Runtime

SCALE = 2**14  # sample i of every file is i / SCALE: a sample says where it was
SEGMENT = 4410
EVERYTHING = Augmentation(p_mixup=0.5, p_aug=0.4, p_shuffle=0.5, p_silence=0.5)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Eight ramps of 0.05 to 0.35 s; clip k carries label k % 3."""
    folder = tmp_path_factory.mktemp("audio")
    rows = []
    for k, n_samples in enumerate([2205, 6000, 7000, 8000, 9000, 10000, 12000, 15435]):
        path = folder / f"clip{k}.wav"
        soundfile.write(path, np.arange(n_samples) / SCALE, SAMPLE_RATE, subtype="FLOAT")
        labels = np.eye(3, dtype=np.float32)[k % 3]
        rows.append(Clip(path.name, path, n_samples, labels, is_noisy=k % 2 == 1))
    return rows


@pytest.fixture(params=["missing", "not audio"])
def bad_clip(request, tmp_path):
    path = tmp_path / "bad.wav"
    if request.param == "not audio":
        path.write_bytes(b"no sound in here" * 100)
    return Clip("bad.wav", path, 8000, np.eye(3, dtype=np.float32)[0])


def dataset_of(clips, augmentation=None, switch_off_on=20, seconds=0.1, seed=3, fold=1):
    return TrainingDataset(
        clips, Segments(seconds, seed, fold), augmentation or Augmentation(), switch_off_on
    )


def runtime(workers):
    return Runtime(device=torch.device("cpu"), num_workers=workers)


def starts(dataset, epoch=0):
    """The first sample of each clip's segment."""
    return [round(float(dataset[epoch, i][1].audio[0]) * SCALE) for i in range(len(dataset))]


def epoch_of(loader, batches, epoch):
    """{index: (bytes of the audio, labels, fname)} of one epoch."""
    batches.set_epoch(epoch)
    result = {}
    for batch in loader:
        rows = zip(
            batch["index"], batch["signal"], batch["lengths"], batch["labels"], batch["fnames"], strict=True
        )
        for index, signal, length, labels, fname in rows:
            assert not signal[length:].any()
            result[int(index)] = signal[:length].numpy().tobytes(), tuple(labels.tolist()), fname
    return result


def test_segments_of_long_clips_and_all_of_short_ones(clips):
    dataset = dataset_of(clips)
    for index, clip in enumerate(clips):
        found, sample = dataset[0, index]
        assert found == index and (sample.fname, sample.is_noisy) == (clip.fname, clip.is_noisy)
        assert len(sample.audio) == min(clip.n_samples, SEGMENT)
        np.testing.assert_array_equal(sample.labels, clip.labels)
        start = starts(dataset)[index]
        np.testing.assert_array_equal(sample.audio * SCALE, np.arange(start, start + len(sample.audio)))
    assert starts(dataset)[0] == 0


def test_segments_start_anywhere(clips):
    """300 draws of clip 1's 1591 starts: the ends come within 5 %, the mean to four deviations."""
    dataset = dataset_of(clips)
    last = clips[1].n_samples - SEGMENT
    drawn = [round(float(dataset[epoch, 1][1].audio[0]) * SCALE) for epoch in range(300)]
    assert 0 <= min(drawn) < 0.05 * last and 0.95 * last < max(drawn) <= last
    assert np.mean(drawn) == pytest.approx(last / 2, abs=4 * last / np.sqrt(12 * 300))


@pytest.mark.parametrize("extra, expected", [(0, {0}), (1, {0, 1})])
def test_first_and_last_start_are_both_drawn(clips, extra, expected):
    dataset = dataset_of([clips[1]], seconds=(clips[1].n_samples - extra) / SAMPLE_RATE)
    assert {starts(dataset, epoch)[0] for epoch in range(30)} == expected


def test_draws_are_a_function_of_seed_fold_epoch_and_clip(clips):
    assert starts(dataset_of(clips)) == starts(dataset_of(clips))
    variants = [dataset_of(clips), dataset_of(clips, seed=4), dataset_of(clips, fold=2)]
    drawn = [*map(starts, variants), starts(variants[0], 1), starts(variants[0], 2)]
    for column in list(zip(*drawn, strict=True))[1:]:  # clip 0 is all segment
        assert len(set(column)) == 5
    assert len(set(starts(dataset_of(clips))[1:])) == 7
    shares = {round(s / (c.n_samples - SEGMENT), 2) for s, c in zip(drawn[0][1:], clips[1:], strict=True)}
    assert len(shares) == 7  # clips do not share one random number


def test_position_in_the_table_does_not_matter(clips):
    assert starts(dataset_of(clips[::-1])) == starts(dataset_of(clips))[::-1]
    assert starts(dataset_of(clips[3:])) == starts(dataset_of(clips))[3:]


def test_curated_and_noisy_clip_of_one_name_draw_apart(clips):
    twins = [replace(clips[7], is_noisy=False), replace(clips[7], is_noisy=True)]
    first, second = starts(dataset_of(twins))
    assert first != second


def test_access_in_any_order_gives_the_same_samples(clips):
    dataset = dataset_of(clips, replace(EVERYTHING, p_aug=0))
    keys = [(epoch, index) for epoch in range(3) for index in range(len(clips))]
    forward = {key: dataset[key][1].audio.tobytes() for key in keys}
    assert forward == {key: dataset[key][1].audio.tobytes() for key in reversed(keys)}


@pytest.mark.needs_sox
def test_workers_do_not_change_samples(clips):
    """Every augmentation on: none, one and two workers give the same bytes, in each epoch."""
    loaders = [training_loader(dataset_of(clips, EVERYTHING), 3, runtime(workers)) for workers in (0, 1, 2)]
    for epoch in range(2):
        alone, one, two = (epoch_of(*loader, epoch) for loader in loaders)
        assert sorted(alone) == list(range(len(clips)))
        assert alone == one == two
    first, second = (epoch_of(*loaders[0], epoch) for epoch in (0, 1))
    assert all(first[index][0] != second[index][0] for index in range(1, len(clips)))


def test_two_workers_do_not_repeat_random_numbers(clips):
    """Copies of one long clip under many names: every segment and MixUp is another one."""
    copies = [replace(clips[7], fname=f"copy{k}.wav") for k in range(16)]
    for augmentation in (Augmentation(), Augmentation(p_mixup=1)):
        loader, batches = training_loader(dataset_of(copies, augmentation), 2, runtime(2))
        audio = [row[0] for epoch in range(2) for row in epoch_of(loader, batches, epoch).values()]
        assert len(audio) == len(set(audio)) == 32


def test_resumed_epoch_gives_the_rest_of_its_batches(clips):
    loader, batches = training_loader(dataset_of(clips, Augmentation(p_mixup=1)), 3, runtime(0))
    batches.set_epoch(1)
    whole = [batch["signal"] for batch in loader]
    batches.set_epoch(1, first_batch=2)
    rest = [batch["signal"] for batch in loader]
    assert len(whole) == 3 and len(rest) == len(loader) == 1
    assert rest[0].equal(whole[2])


def test_only_the_segment_is_read(clips, monkeypatch):
    asked, decoded = [], []
    read, read_file = loading.read_audio, soundfile.SoundFile.read

    def spy_on_file(self, *args, **kwargs):
        audio = read_file(self, *args, **kwargs)
        decoded.append(len(audio))
        return audio

    monkeypatch.setattr(loading, "read_audio", lambda *args: asked.append(args) or read(*args))
    monkeypatch.setattr(soundfile.SoundFile, "read", spy_on_file)
    dataset_of(clips)[0, 7]
    [(path, start, n_samples)] = asked
    assert path == clips[7].path and n_samples == SEGMENT
    assert 0 <= start <= clips[7].n_samples - SEGMENT
    assert decoded == [SEGMENT]


def test_mixup_partner_is_a_segment_of_any_clip(clips):
    pair = [clips[6], clips[7]]  # labels 0 and 1
    dataset = dataset_of(pair, Augmentation(p_mixup=1), switch_off_on=200)
    labels = [dataset[epoch, 0][1].labels.tolist() for epoch in range(200)]
    with_other = labels.count([1, 1, 0])
    assert with_other + labels.count([1, 0, 0]) == 200
    assert with_other == pytest.approx(100, abs=4 * np.sqrt(200 / 4))
    sample = dataset[0, 0][1]
    assert len(sample.audio) == SEGMENT and sample.fname == clips[6].fname


def test_clips_keep_their_labels(clips):
    dataset = dataset_of(clips, Augmentation(p_mixup=1))
    for epoch in range(10):
        for index in range(len(clips)):
            assert (dataset[epoch, index][1].labels >= clips[index].labels).all()
    assert all(clip.labels.sum() == 1 for clip in clips)


def test_from_switch_off_on_there_is_only_the_random_segment(clips):
    """Silence and MixUp break the ramp in epochs 0 and 1; from 2 on it is whole."""
    dataset = dataset_of(clips, Augmentation(p_mixup=1, p_silence=1), switch_off_on=2)

    def is_ramp(epoch, index):
        steps = np.diff(dataset[epoch, index][1].audio * SCALE)
        return bool((steps == 1).all())

    for index in range(len(clips)):
        assert [is_ramp(epoch, index) for epoch in range(5)] == [False, False, True, True, True]
    for index, clip in enumerate(clips):
        np.testing.assert_array_equal(dataset[2, index][1].labels, clip.labels)
    assert starts(dataset, 2) != starts(dataset, 3)


def test_switching_off_reaches_persistent_workers(clips):
    dataset = dataset_of(clips, Augmentation(p_silence=1), switch_off_on=1)
    loader, batches = training_loader(dataset, 4, runtime(2))
    before, after = (epoch_of(loader, batches, epoch) for epoch in (0, 1))
    for index in range(len(clips)):
        steps = [np.diff(np.frombuffer(e[index][0], np.float32)) * SCALE for e in (before, after)]
        assert not (steps[0] == 1).all() and (steps[1] == 1).all()


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_clip_is_in_the_batchs_errors(clips, bad_clip, workers):
    loader, batches = training_loader(dataset_of([*clips[:3], bad_clip]), 4, runtime(workers))
    batches.set_epoch(0)
    [batch] = loader
    [(index, error)] = batch["errors"]
    assert index == 3 and isinstance(error, DataError) and str(bad_clip.path) in str(error)
    assert sorted(batch["index"].tolist()) == [0, 1, 2] and len(batch["signal"]) == 3


def test_unreadable_partner_is_named(clips, bad_clip):
    dataset = dataset_of([clips[0], bad_clip], Augmentation(p_mixup=1))
    results = [dataset[epoch, 0] for epoch in range(20)]
    errors = [result for _, result in results if isinstance(result, DataError)]
    assert all(index == 0 for index, _ in results) and 0 < len(errors) < 20
    assert all(str(bad_clip.path) in str(error) for error in errors)


def test_evaluation_takes_the_whole_clip_as_it_is(clips):
    dataset = EvaluationDataset(clips)
    assert len(dataset) == len(clips)
    for index, clip in enumerate(clips):
        found, sample = dataset[index]
        assert found == index and (sample.fname, sample.is_noisy) == (clip.fname, clip.is_noisy)
        np.testing.assert_array_equal(sample.audio * SCALE, np.arange(clip.n_samples))
        np.testing.assert_array_equal(sample.labels, clip.labels)


def test_a_cache_is_advised_where_ffmpeg_decodes_clips_in_each_epoch(tmp_path, capsys):
    clips = [Clip(name, tmp_path / name, 100, None) for name in ("1.wav", "2.M4A", "3.webm")]
    loading.advise_cache(clips, Runtime(device=torch.device("cpu")))
    assert capsys.readouterr().out.startswith(
        "2 clips are decoded by ffmpeg, anew at each reading; with --cache"
    )
    loading.advise_cache(clips[:1], Runtime(device=torch.device("cpu")))
    loading.advise_cache(clips, Runtime(device=torch.device("cpu"), cache=ClipCache(tmp_path / "cache")))
    assert not capsys.readouterr().out
