"""Votes of neighbours: what the clips most like a clip are labelled as, a second opinion beside a network's.

A network of few clips errs where its last layer does; the vectors under that layer often lie rightly beside
each other all the same, and most of a clip's neighbours carry right labels even where many labels are wrong
(SSR, Feng et al. 2021, arXiv:2111.11288, chooses clips by such votes).
"""

from __future__ import annotations

import numpy as np

CHUNK_SCORES = 2**24  # similarities that are held at a time: 64 MB
EPS = 1e-12


def neighbour_votes(
    vectors: np.ndarray, labels: np.ndarray, units: np.ndarray, k: int, n_asked: int | None = None
) -> np.ndarray:
    """(asked, classes) the share of each clip's k nearest others that carry a class, never 0 or 1.

    Near is a high cosine of the angle between vectors. Of n votes on a class, v of them for it, comes
    (v + 1/2) / (n + 1) (Krichevsky and Trofimov 1981); without any vote one half. Of several clips that are
    equally far away as the k-th each has a part of the votes that are left: permuting the clips permutes the
    votes.

    Args:
        vectors: (clips, dimensions).
        labels: (clips, classes) 1, 0, or NaN where nobody knows, which is no vote on that class. A clip
            without any label votes on none.
        units: (clips,) whole numbers; clips of one unit do not vote for each other, nor any for itself.
        n_asked: whose votes are asked for: the first so many clips'; None: all.
    """
    vectors = vectors.astype(np.float32)
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), EPS)
    voters = np.flatnonzero((labels > 0.5).any(axis=1))
    known = (~np.isnan(labels[voters])).astype(np.float32)
    votes = np.nan_to_num(labels[voters]).astype(np.float32)
    n_asked = len(vectors) if n_asked is None else n_asked
    k = min(k, len(voters))
    shares = np.full((n_asked, labels.shape[1]), 0.5)
    if not k:
        return shares
    step = max(1, CHUNK_SCORES // len(voters))
    for start in range(0, n_asked, step):
        rows = slice(start, min(start + step, n_asked))
        similarity = vectors[rows] @ vectors[voters].T
        similarity[units[rows, None] == units[voters]] = -np.inf
        weights = _weights_of_nearest(similarity, k)
        n_votes = (weights @ known).astype(np.float64)
        shares[rows] = (weights @ votes + 0.5) / (n_votes + 1)
    return shares


def _weights_of_nearest(similarity: np.ndarray, k: int) -> np.ndarray:
    """(rows, voters) 1 for the k most similar, a part of 1 for those that tie for the last places."""
    last = np.partition(similarity, -k, axis=1)[:, -k, None]
    nearer, tied = similarity > last, (similarity == last) & (similarity > -np.inf)
    part = (k - nearer.sum(axis=1, keepdims=True)) / np.maximum(tied.sum(axis=1, keepdims=True), 1)
    return nearer + tied * part.astype(np.float32)
