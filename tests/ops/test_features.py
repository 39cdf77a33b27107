"""Front end: a direct DFT and torchaudio's filterbank as references, tones, padding, descriptors."""

from math import log

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchaudio.functional import melscale_fbanks

from ops.features import FeatureSpec, LogSpectrogram, parse_features, reflect_pad
from ops.sampling import SAMPLE_RATE

SILENCE = log(1e-4)
DESCRIPTORS = ["stft_256_128", "stft_64_64", "stft_100_30", "stft_65_32", "mel_256_128_16"]


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def padded(clips):
    lengths = torch.tensor([len(clip) for clip in clips])
    return torch.nn.utils.rnn.pad_sequence(clips, batch_first=True), lengths


def plain_magnitude(clip, n_fft, hop):
    """(bins, frames) by the definition of the DFT, in float64."""
    clip = np.pad(np.asarray(clip, dtype=np.float64), n_fft // 2, mode="reflect")
    n = np.arange(n_fft)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / n_fft)
    basis = np.exp(-2j * np.pi * np.outer(np.arange(n_fft // 2 + 1), n) / n_fft)
    frames = [clip[i : i + n_fft] for i in range(0, len(clip) - n_fft + 1, hop)]
    return np.abs(basis @ (window * np.array(frames)).T)


def plain_parse(text):
    """What a feature descriptor means, by splitting; None where it means nothing."""
    kind, *parts = text.split("_")
    if {"stft": 2, "mel": 3}.get(kind) != len(parts):
        return None
    if not all(part and set(part) <= set("0123456789") and len(part) < 10 for part in parts):
        return None
    n_fft, hop, *n_mels = map(int, parts)
    if not (2 <= n_fft <= 2**20 and 1 <= hop <= n_fft and all(1 <= n <= n_fft // 2 + 1 for n in n_mels)):
        return None
    return FeatureSpec(n_fft, hop, *n_mels)


nearly = st.lists(
    st.sampled_from(
        ["stft", "mel", "_", "0", "1", "7", "64", "2048", "1048576", "-", ".", " ", "\n", "٣", "²"]
    ),
    max_size=9,
).map("".join)
descriptors = st.builds(
    lambda kind, numbers: "_".join([kind, *map(str, numbers)]),
    st.sampled_from(["stft", "mel"]),
    st.lists(st.integers(0, 3000) | st.integers(0, 2**21), min_size=1, max_size=4),
)


@settings(max_examples=1000, deadline=None)
@given(st.one_of(st.text(), nearly, descriptors))
def test_any_text_is_parsed_right_or_refused(text):
    expected = plain_parse(text)
    if expected is None:
        with pytest.raises(ValueError, match="features: expected"):
            parse_features(text)
    else:
        assert parse_features(text) == expected


@settings(max_examples=1000, deadline=None)
@given(data=st.data(), n_fft=st.integers(2, 2**20), mel=st.booleans())
def test_descriptor_text_gives_its_numbers(data, n_fft, mel):
    hop = data.draw(st.integers(1, n_fft))
    if mel:
        n_mels = data.draw(st.integers(1, n_fft // 2 + 1))
        spec = parse_features(f"mel_{n_fft}_{hop}_{n_mels}")
        assert spec == FeatureSpec(n_fft, hop, n_mels) and spec.n_features == n_mels
    else:
        spec = parse_features(f"stft_{n_fft}_{hop}")
        assert spec == FeatureSpec(n_fft, hop, None) and spec.n_features == n_fft // 2 + 1


@pytest.mark.parametrize(
    "text",
    [
        *["", "mel", "stft", "mel_2048", "mel_2048_1024", "stft_256", "stft_256_128_64", "mel_256_128_16_1"],
        *["stft_256_128_", "stft__256_128", "stft_256_128\n", " stft_256_128", "STFT_256_128", "melstft_8_4"],
        *["stft_256_0", "stft_256_257", "stft_1_1", "stft_0_0", "stft_-256_128", "stft_256.0_128"],
        *["mel_256_128_0", "mel_256_128_130", "stft_2097152_1", "stft_٣٢_٣", "mfcc_256_128"],
    ],
)
def test_refused_descriptors_are_quoted(text):
    with pytest.raises(ValueError, match="features: expected") as error:
        parse_features(text)
    assert repr(text) in str(error.value)


@pytest.mark.parametrize("descriptor", DESCRIPTORS)
@pytest.mark.parametrize("n_frames", [1, 2, 32])
def test_min_samples_is_the_fewest(descriptor, n_frames):
    spec = parse_features(descriptor)
    n_samples = spec.min_samples(n_frames)
    assert spec.n_frames(n_samples) == n_frames
    assert n_samples == 1 or spec.n_frames(n_samples - 1) < n_frames


@pytest.mark.parametrize("descriptor", DESCRIPTORS)
@pytest.mark.parametrize("n_samples", [1, 2, 63, 64, 300, 1000])
def test_shape_is_what_the_spec_says(descriptor, n_samples):
    front_end = LogSpectrogram(descriptor)
    spec = front_end.spec
    assert front_end(noise(2, n_samples)).shape == (2, spec.n_features, spec.n_frames(n_samples))
    assert spec.n_frames(torch.tensor([n_samples])).item() == spec.n_frames(n_samples)


@pytest.mark.parametrize("n_samples, frames", [(1, 1), (1024, 2), (44100, 44), (441000, 431)])
def test_frames_of_the_default_descriptor(n_samples, frames):
    assert parse_features("mel_2048_1024_128").n_frames(n_samples) == frames


@pytest.mark.parametrize("n_samples, padding", [(1, 3), (2, 5), (5, 4), (5, 5), (5, 23), (40, 7)])
def test_reflect_pad_equals_numpy(n_samples, padding):
    signal = noise(3, n_samples)
    expected = np.pad(signal.numpy(), ((0, 0), (padding, padding)), mode="reflect")
    np.testing.assert_array_equal(reflect_pad(signal, None, padding), expected)
    lengths = torch.full((3,), n_samples)
    np.testing.assert_array_equal(reflect_pad(signal, lengths, padding), expected)


def test_reflect_pad_exact():
    signal = torch.tensor([[1.0, 2, 3, 4], [5, 6, 0, 0], [7, 0, 0, 0]])
    expected = [
        [3, 2, 1, 2, 3, 4, 3, 2],
        [5, 6, 5, 6, 5, 6, 0, 0],
        [7, 7, 7, 7, 7, 0, 0, 0],
    ]
    assert reflect_pad(signal, torch.tensor([4, 2, 1]), 2).tolist() == expected


@pytest.mark.parametrize("descriptor", ["stft_256_128", "stft_64_64", "stft_100_30", "stft_65_32"])
@pytest.mark.parametrize("n_samples", [1, 20, 129, 700])
def test_stft_equals_the_dft(descriptor, n_samples):
    front_end = LogSpectrogram(descriptor)
    clip = noise(n_samples)
    expected = plain_magnitude(clip, front_end.spec.n_fft, front_end.spec.hop)
    magnitude = front_end(clip[None])[0].exp() - 1e-4
    np.testing.assert_allclose(magnitude, expected, atol=1e-5, rtol=1e-5)


def test_mel_is_the_filterbank_over_the_magnitude():
    front_end = LogSpectrogram("mel_512_256_20")
    clip = noise(2000)
    filters = melscale_fbanks(257, 5.0, SAMPLE_RATE / 2, 20, SAMPLE_RATE, "slaney", "slaney")
    expected = np.log(filters.numpy().T @ plain_magnitude(clip, 512, 256) + 1e-4)
    np.testing.assert_allclose(front_end(clip[None])[0], expected, atol=1e-4)


@pytest.mark.parametrize("descriptor", ["mel_2048_1024_128", "mel_512_256_40", "mel_1024_441_64"])
def test_filterbank_equals_torchaudio(descriptor):
    front_end = LogSpectrogram(descriptor)
    spec = front_end.spec
    expected = melscale_fbanks(
        spec.n_fft // 2 + 1, 5.0, SAMPLE_RATE / 2, spec.n_mels, SAMPLE_RATE, norm="slaney", mel_scale="slaney"
    )
    torch.testing.assert_close(front_end.filters, expected.T, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("k", [2, 5, 40, 126])
def test_tone_peaks_in_its_bin(k):
    """cos of amplitude 0.5 at bin k: half of it times the window's sum, n_fft / 2."""
    tone = 0.5 * torch.cos(2 * torch.pi * k * torch.arange(2048) / 256)
    frames = LogSpectrogram("stft_256_128")(tone[None])[0, :, 2:-2]
    assert (frames.argmax(0) == k).all()
    torch.testing.assert_close(frames[k], torch.full_like(frames[k], log(0.25 * 128 + 1e-4)))


@pytest.mark.parametrize("hz", [200, 1000, 3000, 10000])
def test_tone_peaks_in_its_mel_band(hz):
    """Slaney's scale: 3 mels for 200 Hz up to 1000 Hz, then 27 mels for a factor of 6.4."""

    def mels(frequency):
        return frequency * 3 / 200 if frequency < 1000 else 15 + 27 * np.log(frequency / 1000) / np.log(6.4)

    front_end = LogSpectrogram("mel_2048_1024_64")
    tone = torch.sin(2 * torch.pi * hz * torch.arange(20000) / SAMPLE_RATE)
    band = front_end(tone[None])[0, :, 3:-3].mean(1).argmax().item()
    centres = np.linspace(mels(5), mels(SAMPLE_RATE / 2), 66)[1:-1]
    assert abs(band - np.abs(centres - mels(hz)).argmin()) <= 1
    assert abs(centres[band] - mels(hz)) < centres[1] - centres[0]


@pytest.mark.parametrize("descriptor", DESCRIPTORS)
@pytest.mark.parametrize("n_samples", [1, 10, 5000])
def test_silence_is_the_floor(descriptor, n_samples):
    features = LogSpectrogram(descriptor)(torch.zeros(1, n_samples))
    torch.testing.assert_close(features, torch.full_like(features, SILENCE))


def test_twice_the_amplitude_is_log_two_higher():
    front_end = LogSpectrogram("stft_64_32")
    clip = noise(1, 2000) / 2
    magnitude, doubled = front_end(clip).exp() - 1e-4, front_end(2 * clip).exp() - 1e-4
    torch.testing.assert_close(doubled, 2 * magnitude, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("descriptor", DESCRIPTORS)
def test_clip_in_a_padded_batch_equals_the_clip_alone(descriptor):
    front_end = LogSpectrogram(descriptor)
    clips = [noise(n, seed=n) for n in (1, 20, 129, 300, 1000, 1024)]
    signal, lengths = padded(clips)
    batch = front_end(signal, lengths)
    for clip, features in zip(clips, batch, strict=True):
        alone = front_end(clip[None])[0]
        torch.testing.assert_close(features[:, : alone.shape[1]], alone, rtol=1e-4, atol=1e-4)
        behind = features[:, alone.shape[1] :]
        torch.testing.assert_close(behind, torch.full_like(behind, SILENCE))


@pytest.mark.parametrize("descriptor", DESCRIPTORS)
def test_full_lengths_equal_no_lengths(descriptor):
    front_end, signal = LogSpectrogram(descriptor), noise(3, 700)
    torch.testing.assert_close(front_end(signal, torch.full((3,), 700)), front_end(signal), rtol=0, atol=1e-5)


def test_permuting_clips_permutes_features():
    front_end = LogSpectrogram("mel_256_128_16")
    signal, lengths = padded([noise(n, seed=n) for n in (300, 700, 500)])
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(front_end(signal[order], lengths[order]), front_end(signal, lengths)[order])


@pytest.mark.parametrize("descriptor", ["stft_256_128", "mel_256_128_16"])
def test_float32_even_under_mixed_precision(descriptor):
    front_end, signal = LogSpectrogram(descriptor), noise(2, 1000)
    expected = front_end(signal)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = front_end(signal)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features, expected, rtol=0, atol=0)
    assert front_end(signal.double()).dtype == torch.float32


@pytest.mark.parametrize("descriptor", ["stft_256_128", "mel_256_128_16"])
def test_window_and_filters_are_buffers_outside_the_checkpoint(descriptor):
    front_end = LogSpectrogram(descriptor)
    buffers = dict(front_end.to("meta").named_buffers())
    assert len(buffers) == 1 + descriptor.startswith("mel")
    assert all(buffer.is_meta for buffer in buffers.values())
    assert not front_end.state_dict() and not list(front_end.parameters())


@pytest.mark.gpu
@pytest.mark.parametrize("descriptor", DESCRIPTORS)
def test_gpu_equals_cpu(descriptor):
    front_end = LogSpectrogram(descriptor)
    signal, lengths = padded([noise(n, seed=n) for n in (20, 300, 1000)])
    expected = front_end(signal, lengths).exp()
    actual = front_end.cuda()(signal.cuda(), lengths).cpu().exp()
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)
