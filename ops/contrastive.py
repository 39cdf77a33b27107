"""Losses of learning without labels: each query has one key that is its own, among those of others."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def info_nce(queries: Tensor, keys: Tensor, positives: Tensor, temperature: float) -> Tensor:
    """-log of the softmax, over all keys, of cosine / temperature at a query's own key; mean over queries.

    van den Oord et al. 2018, arXiv:1807.03748, with cosines in place of a bilinear form, as wav2vec 2.0
    (arXiv:2006.11477) has it.

    Args:
        queries: (queries, size), at least one.
        keys: (keys, size).
        positives: (queries,) the index of each query's own key; all others are its negatives.
    """
    return nn.functional.cross_entropy(_cosines(queries, keys) / temperature, positives)


def nt_xent(projections: Tensor, temperature: float) -> Tensor:
    """info_nce of views: each one's own key is the other view of its clip, itself is no key.

    Chen et al. 2020, arXiv:2002.05709.

    Args:
        projections: (2 clips, size), the two views of a clip in rows 2 i and 2 i + 1; without rows 0.
    """
    if not len(projections):
        return projections.sum()
    cosines = _cosines(projections, projections) / temperature
    itself = torch.eye(len(cosines), dtype=torch.bool, device=cosines.device)
    other = torch.arange(len(cosines), device=cosines.device) ^ 1
    return nn.functional.cross_entropy(cosines.masked_fill(itself, -torch.inf), other)


def cpc_loss(outputs: Tensor, temperature: float) -> Tensor:
    """info_nce of frames that are predicted: step k's own key is the frame k after the context's last one.

    Negatives are all other frames of the batch, those of the same clip among them. All predictions count
    alike; where clips are too short for any the loss is 0.

    Args:
        outputs: (batch, frames, 1 + steps, size): of each frame its own vector, then the predictions, from
            the frames up to it, of the next one, the one after, and so on. Zeros behind a clip's own frames.
    """
    is_frame = outputs[:, :, 0].detach().ne(0).any(-1)  # (batch, frames)
    keys = outputs[:, :, 0][is_frame]
    number = is_frame.flatten().cumsum(0).view_as(is_frame) - 1  # of each frame among the keys
    queries, positives = [], []
    for step in range(1, min(outputs.shape[2], outputs.shape[1])):
        is_there = is_frame[:, step:]
        queries.append(outputs[:, :-step, step][is_there])
        positives.append(number[:, step:][is_there])
    if not sum(map(len, queries)):
        return outputs.sum() * 0
    return info_nce(torch.cat(queries), keys, torch.cat(positives), temperature)


def _cosines(first: Tensor, second: Tensor) -> Tensor:
    """(rows of the first, rows of the second), in float32."""
    first, second = (nn.functional.normalize(rows.float(), dim=1) for rows in (first, second))
    return first @ second.T


OBJECTIVES = {"contrastive": nt_xent, "cpc": cpc_loss}
