"""Losses of learning without labels: exact values, and what makes no difference to them."""

import math

import pytest
import torch

from ops.contrastive import cpc_loss, info_nce, nt_xent

E1, E2 = [1.0, 0.0], [0.0, 1.0]


def test_info_nce_is_the_cross_entropy_of_cosines():
    queries, keys = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.5, 0.0], E2, [-2.0, 0.0]])
    for positive, cosine in enumerate((1, 0, -1)):
        expected = math.log(math.exp(2) + 1 + math.exp(-2)) - 2 * cosine
        assert info_nce(queries, keys, torch.tensor([positive]), 0.5).item() == pytest.approx(expected)


def test_nt_xent_leaves_each_view_out_of_its_own_keys():
    """Two clips whose views agree and are at right angles to the other's: -log(e / (e + 2)) each."""
    views = torch.tensor([E1, [2.0, 0.0], E2, E2])
    assert nt_xent(views, 1.0).item() == pytest.approx(math.log(math.e + 2) - 1)
    assert nt_xent(views[[0, 2, 1, 3]], 1.0).item() == pytest.approx(math.log(math.e + 2))  # pairs disagree


def test_nt_xent_of_one_clip_and_of_none_is_zero():
    assert nt_xent(torch.tensor([E1, E2]), 0.1).item() == pytest.approx(0)
    assert nt_xent(torch.zeros(0, 3), 0.1).item() == 0


def outputs(*clips: list[list[list[float]]]) -> torch.Tensor:
    """(batch, frames, 1 + steps, 2) of clips of different numbers of frames, each [own, prediction, ...]."""
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(clip) for clip in clips], batch_first=True)


def test_cpc_compares_each_prediction_with_all_frames_of_the_batch():
    """One step: of two frames the first alone predicts; keys are E1, E2 and the other clip's E1."""
    right = outputs([[E1, E2], [E2, E1]], [[E1, E1]])  # the last frames' predictions count for nothing
    assert cpc_loss(right, 1.0).item() == pytest.approx(math.log(math.e + 2) - 1)
    wrong = outputs([[E1, E1], [E2, E1]], [[E1, E1]])
    assert cpc_loss(wrong, 1.0).item() == pytest.approx(math.log(2 * math.e + 1))


def test_cpc_steps_look_as_far_ahead_as_they_say():
    """Three frames, two steps: step 1 of frames 0 and 1, step 2 of frame 0, each the frame's own."""
    frames = [E1, E2, [-1.0, 0.0]]
    clip = [[frames[0], frames[1], frames[2]], [frames[1], frames[2], E1], [frames[2], E1, E1]]
    expected = sum(
        math.log(sum(math.exp(k[0] * q[0] + k[1] * q[1]) for k in frames)) - 1
        for q in (frames[1], frames[2], frames[2])
    )
    assert cpc_loss(outputs(clip), 1.0).item() == pytest.approx(expected / 3)


def test_clips_too_short_to_predict_give_zero_and_a_gradient():
    short = outputs([[E1, E2]], [[E2, E2]]).requires_grad_()
    loss = cpc_loss(short, 0.1)
    loss.backward()
    assert loss.item() == 0 and not short.grad.any()
    assert cpc_loss(torch.zeros(0, 3, 2, 2), 0.1).item() == 0


def test_frames_behind_a_clip_count_for_nothing():
    clips = outputs([[E1, E2], [E2, E1]], [[E1, E1]])
    longer = torch.nn.functional.pad(clips, (0, 0, 0, 0, 0, 3))
    assert torch.equal(cpc_loss(clips, 0.3), cpc_loss(longer, 0.3))
