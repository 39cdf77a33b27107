import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ops.embeddings import parse_backbone, pool_windows, window_starts


@pytest.mark.parametrize(
    "n_samples, starts",
    [(1, [0]), (10, [0]), (11, [0, 1]), (14, [0, 4]), (15, [0, 4, 5]), (25, [0, 4, 8, 12, 15])],
)
def test_windows_are_a_hop_apart_and_the_last_one_ends_with_the_clip(n_samples, starts):
    assert window_starts(n_samples, window=10, hop=4) == starts


@given(st.integers(1, 2000), st.integers(1, 300), st.integers(1, 300))
def test_windows_cover_every_sample_and_no_other(n_samples, window, hop):
    hop = min(hop, window)
    starts = window_starts(n_samples, window, hop)
    ends = [min(start + window, n_samples) for start in starts]
    assert starts[0] == 0 and ends[-1] == n_samples
    assert all(0 < later - start <= hop for start, later in zip(starts, starts[1:], strict=False))
    assert all(later <= end for later, end in zip(starts[1:], ends, strict=False))


def test_pooling_is_the_mean_and_the_maximum():
    vectors = torch.tensor([[1.0, -4.0], [3.0, -2.0], [2.0, -9.0]])
    assert pool_windows(vectors).tolist() == [2.0, -5.0, 3.0, -2.0]
    assert pool_windows(vectors[:1]).tolist() == [1.0, -4.0, 1.0, -4.0]


def test_a_backbone_is_a_kind_and_a_path():
    assert parse_backbone("onnx:a/b.onnx") == ("onnx", "a/b.onnx")
    assert parse_backbone("transformers:C:/models/ast") == ("transformers", "C:/models/ast")


@given(st.text(max_size=20))
def test_any_other_text_gives_the_grammar(text):
    if text.startswith(("onnx:", "transformers:")):
        return
    with pytest.raises(ValueError, match="^backbone: expected onnx:FILE"):
        parse_backbone(text)
